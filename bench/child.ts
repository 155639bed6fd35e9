import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { basename } from "node:path";
import { findProgram } from "./find-program.ts";
import { allowedCpus } from "./machine.ts";

/** Enough for a slow machine to load a program from source; a child that takes longer hangs. */
const startTimeoutMs = 30_000;
const stopTimeoutMs = 5_000;
const keptOutputCharacters = 4_000;

/** The CPU of the proxy under test, and the one that load and upstreams share. */
export interface Pinning {
  readonly proxyCpu: number | undefined;
  readonly loadCpu: number | undefined;
  readonly description: string;
}

/** With the proxy alone on its core, CPU time and throughput measure the same. */
export function planPinning(): Pinning {
  const cpus = allowedCpus();
  const loadCpu = cpus[0];
  const proxyCpu = cpus[1];
  if (loadCpu === undefined || proxyCpu === undefined) {
    return { proxyCpu: undefined, loadCpu: undefined, description: "not pinned: fewer than two CPUs to choose from" };
  }
  if (!isInstalled("taskset")) {
    return { proxyCpu: undefined, loadCpu: undefined, description: "not pinned: taskset is not installed" };
  }
  return { proxyCpu, loadCpu, description: `proxy on CPU ${proxyCpu}, load and upstreams on CPU ${loadCpu}` };
}

export interface ChildOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cpu: number | undefined;
  /** Opens a message channel to the child; not for programs of others. */
  readonly messages: boolean;
  /** Whether to keep standard output. Default: dropped. */
  readonly output?: "dropped" | "kept";
  /** Whether the child has the lowest scheduling priority. */
  readonly priority?: "normal" | "idle";
}

/** A script of this repository, as a command. */
export function nodeCommand(script: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, script, ...args];
}

/**
 * Each of these programs executes the next one, so the child keeps its process id. setpriv has the kernel end the child
 * with this process.
 */
function wrappers({ cpu, priority }: ChildOptions): string[] {
  const wanted: (readonly string[])[] = [];
  if (cpu !== undefined) wanted.push(["taskset", "-c", String(cpu)]);
  if (priority === "idle") wanted.push(["chrt", "--idle", "0"]);
  wanted.push(["setpriv", "--pdeathsig", "TERM"]);
  return wanted.filter(([tool = ""]) => isInstalled(tool)).flat();
}

const installed = new Map<string, boolean>();

export function isInstalled(tool: string): boolean {
  const known = installed.get(tool) ?? findProgram(tool, "--version") !== undefined;
  installed.set(tool, known);
  return known;
}

const running = new Set<Child>();

/** A process that the benchmark started, which never outlives it. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<void>;
  #output = "";
  #errorOutput = "";

  constructor(options: ChildOptions) {
    const { command } = options;
    this.#name = basename((command[0] === process.execPath ? command[1] : command[0]) ?? "");
    const [file = process.execPath, ...args] = [...wrappers(options), ...command];
    // Standard output to a file, so that an access log costs a write, and no reader slows it down.
    const sink = openSync(devNull, "w");
    this.#process = spawn(file, args, {
      stdio: [
        "ignore",
        options.output === "kept" ? "pipe" : sink,
        "pipe",
        ...(options.messages ? (["ipc"] as const) : []),
      ],
      env: { ...process.env, ...options.env },
      // A new process group, so that a server's workers end with it.
      detached: true,
    });
    closeSync(sink);
    running.add(this);
    this.#exited = new Promise((resolve) => {
      const settle = () => {
        running.delete(this);
        resolve();
      };
      this.#process.once("close", settle);
      this.#process.once("error", settle);
    });
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-keptOutputCharacters);
    });
  }

  get pid(): number {
    const pid = this.#process.pid;
    if (pid === undefined) throw this.#failure("did not start");
    return pid;
  }

  send(message: object): void {
    this.#process.send(message);
  }

  /** The next message from the child. Rejects when the child ends first, or at the timeout. */
  async nextMessage<Message>(timeoutMs = startTimeoutMs): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer = setTimeout(() => reject(this.#failure(`sent no message for ${timeoutMs} ms`)), timeoutMs);
    this.#process.once("message", (message) => resolve(message as Message));
    this.#exited.then(() => reject(this.#failure("ended too early")));
    return promise.finally(() => clearTimeout(timer));
  }

  /** Polls `ready` until it resolves to true. Rejects when the child ends first. */
  async waitUntil(ready: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + startTimeoutMs;
    while (!(await ready())) {
      if (!running.has(this)) throw this.#failure("ended too early");
      if (performance.now() > deadline) throw this.#failure(`was not ready after ${startTimeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Its standard output, once it has ended by itself. */
  async outputAtEnd(timeoutMs: number): Promise<string> {
    const timer = setTimeout(() => this.kill(), timeoutMs);
    await this.#exited;
    clearTimeout(timer);
    if (this.#process.exitCode !== 0) throw this.#failure("failed");
    return this.#output;
  }

  /** Sends SIGINT. */
  interrupt(): void {
    this.#process.kill("SIGINT");
  }

  async stop(): Promise<void> {
    if (!running.has(this)) return;
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }

  kill(): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // The group has ended.
    }
  }

  /** An error with the most relevant line of its error output. */
  #failure(what: string): Error {
    const lines = this.#errorOutput.split("\n").filter((line) => line.trim() !== "");
    const reason = lines.find((line) => /error/i.test(line)) ?? lines.at(-1);
    return new Error(`${this.#name} ${what}${reason === undefined ? "" : `: ${reason.trim()}`}`);
  }
}

/** Kills all remaining children when this process ends. */
export function killChildrenAtExit(): void {
  process.on("exit", () => {
    for (const child of running) child.kill();
  });
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  process.once("SIGHUP", () => process.exit(129));
}
