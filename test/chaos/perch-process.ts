import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const readyWithinMs = 30_000;

export interface PerchOptions {
  readonly configFile: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly adminPort: number;
  /** Where its access log goes. */
  readonly accessLog: string;
}

/** Perch as a process of its own. Its ports come from the environment, so that instances share one configuration. */
export class PerchProcess {
  readonly origin: string;
  /** The same by TLS. */
  readonly secureOrigin: string;
  readonly admin: string;
  readonly #child: ChildProcess;
  /** What it said at level error or fatal. */
  readonly complaints: string[] = [];

  private constructor(options: PerchOptions) {
    const sink = openSync(options.accessLog, "a");
    const args = [program, "serve", "-c", options.configFile, "--drain-delay", "1s", "--drain-timeout", "10s"];
    this.origin = `http://127.0.0.1:${options.port}`;
    this.secureOrigin = `https://127.0.0.1:${options.tlsPort}`;
    this.admin = `http://127.0.0.1:${options.adminPort}`;
    this.#child = spawn(process.execPath, args, {
      stdio: ["ignore", sink, "pipe"],
      env: {
        ...process.env,
        PERCH_PORT: String(options.port),
        PERCH_TLS_PORT: String(options.tlsPort),
        PERCH_ADMIN_PORT: String(options.adminPort),
      },
    });
    closeSync(sink);
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.complaints.push(...text.split("\n").filter((line) => /"level":"(?:error|fatal)"/.test(line)));
    });
  }

  static async start(options: PerchOptions): Promise<PerchProcess> {
    const perch = new PerchProcess(options);
    const deadline = performance.now() + readyWithinMs;
    while (!(await perch.isReady())) {
      if (perch.#child.exitCode !== null || performance.now() > deadline)
        throw new Error("Perch does not become ready");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return perch;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether it is still the process that was started. */
  get lives(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.admin}/readyz`)).ok;
    } catch {
      return false;
    }
  }

  /** Begins to drain; resolves with the exit code once it has ended. */
  async drain(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
