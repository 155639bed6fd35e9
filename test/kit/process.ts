import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const entry = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Perch in its own process, as a user starts it. */
export class PerchProcess {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #exit: Promise<number | null>;
  #waiting: (() => void)[] = [];

  /** `main` is the module that Node runs. Default: the program, not built. */
  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}, main: string = entry) {
    this.child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env["PATH"], ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk;
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk;
      this.#wake();
    });
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.child.on("close", (code) => {
      resolve(code);
      this.#wake();
    });
    this.#exit = promise;
  }

  /** The exit code; null where a signal ended it. */
  get exited(): Promise<number | null> {
    return this.#exit;
  }

  /** The first log line with this message, once written; rejects where the process ends without it. */
  async logged(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      const lines = this.stderr.split("\n").filter((line) => line.startsWith("{"));
      const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>).find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null) throw new Error(`Perch ended without "${message}":\n${this.stderr}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
  }

  /** Origins of the first listener and of the admin server, once it serves. */
  async serving(): Promise<{ readonly origin: string; readonly admin: string }> {
    const { listeners, admin } = await this.logged("serving");
    const address = String((listeners as string[])[0]).split(" ")[1];
    return { origin: `http://${address}`, admin: `http://${String(admin)}` };
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Kills it, and waits for its end. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null) this.child.kill("SIGKILL");
    await this.#exit;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
