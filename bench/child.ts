import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { basename } from "node:path";
import { allowedCpus } from "./machine.ts";

/** Long enough for a slow machine to load a program from source; a child that takes longer has hung. */
const startTimeoutMs = 30_000;
const stopTimeoutMs = 5_000;
const keptOutputCharacters = 4_000;

/** Which CPU the proxy under test gets, and which one the load and the upstreams share. */
export interface Pinning {
  readonly proxyCpu: number | undefined;
  readonly loadCpu: number | undefined;
  readonly description: string;
}

/** With the proxy alone on its core, its CPU time and its throughput say the same thing twice. */
export function planPinning(): Pinning {
  const cpus = allowedCpus();
  const loadCpu = cpus[0];
  const proxyCpu = cpus[1];
  if (loadCpu === undefined || proxyCpu === undefined) {
    return { proxyCpu: undefined, loadCpu: undefined, description: "not pinned: fewer than two CPUs to choose from" };
  }
  if (spawnSync("taskset", ["--version"], { stdio: "ignore" }).status !== 0) {
    return { proxyCpu: undefined, loadCpu: undefined, description: "not pinned: taskset is not installed" };
  }
  return { proxyCpu, loadCpu, description: `proxy on CPU ${proxyCpu}, load and upstreams on CPU ${loadCpu}` };
}

export interface ChildOptions {
  /** The program's file. */
  readonly script: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cpu: number | undefined;
  /** Opens a message channel to the child. Programs that are not ours have no use for one. */
  readonly messages: boolean;
}

const running = new Set<Child>();

/** A process that the benchmark started, and that never outlives it. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<void>;
  #errorOutput = "";

  constructor(options: ChildOptions) {
    this.#name = basename(options.script);
    const command = [process.execPath, options.script, ...(options.args ?? [])];
    const [file = process.execPath, ...args] =
      options.cpu === undefined ? command : ["taskset", "-c", String(options.cpu), ...command];
    // Standard output goes where an access log costs a write and no reader slows it down.
    const sink = openSync(devNull, "w");
    this.#process = spawn(file, args, {
      stdio: ["ignore", sink, "pipe", ...(options.messages ? (["ipc"] as const) : [])],
      env: { ...process.env, ...options.env },
    });
    closeSync(sink);
    running.add(this);
    this.#exited = new Promise((resolve) => {
      const settle = () => {
        running.delete(this);
        resolve();
      };
      this.#process.once("exit", settle);
      this.#process.once("error", settle);
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-keptOutputCharacters);
    });
  }

  /** taskset replaces itself by the program, so this is the program's own id. */
  get pid(): number {
    const pid = this.#process.pid;
    if (pid === undefined) throw this.#failure("did not start");
    return pid;
  }

  send(message: object): void {
    this.#process.send(message);
  }

  /** The next message from the child. Fails when the child ends first, or stays silent for too long. */
  async nextMessage<Message>(timeoutMs = startTimeoutMs): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer = setTimeout(() => reject(this.#failure(`said nothing for ${timeoutMs} ms`)), timeoutMs);
    this.#process.once("message", (message) => resolve(message as Message));
    this.#exited.then(() => reject(this.#failure("ended too early")));
    return promise.finally(() => clearTimeout(timer));
  }

  /** Resolves when `ready` does with true; asks again until then. Fails when the child ends first. */
  async waitUntil(ready: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + startTimeoutMs;
    while (!(await ready())) {
      if (!running.has(this)) throw this.#failure("ended too early");
      if (performance.now() > deadline) throw this.#failure(`was not ready after ${startTimeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async stop(): Promise<void> {
    if (!running.has(this)) return;
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** With the one line of its error output that says most. */
  #failure(what: string): Error {
    const lines = this.#errorOutput.split("\n").filter((line) => line.trim() !== "");
    const said = lines.find((line) => /error/i.test(line)) ?? lines.at(-1);
    return new Error(`${this.#name} ${what}${said === undefined ? "" : `: ${said.trim()}`}`);
  }
}

/** Kills every child that is left, however this process ends. */
export function killChildrenAtExit(): void {
  process.on("exit", () => {
    for (const child of running) child.kill();
  });
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
}
