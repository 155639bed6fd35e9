import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface PerchOptions {
  readonly configFile: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly adminPort: number;
  /** The file of its access log. */
  readonly accessLog: string;
}

/** Perch in its own process. Its ports come from the environment, so that instances share one configuration. */
export class PerchProcess {
  readonly origin: string;
  /** Over TLS. */
  readonly secureOrigin: string;
  readonly #adminOrigin: string;
  readonly #child: ChildProcess;
  readonly #serving: Promise<void>;

  private constructor(options: PerchOptions) {
    const sink = openSync(options.accessLog, "a");
    const args = [program, "serve", "-c", options.configFile, "--drain-delay", "1s", "--drain-timeout", "10s"];
    this.origin = `http://127.0.0.1:${options.port}`;
    this.secureOrigin = `https://127.0.0.1:${options.tlsPort}`;
    this.#adminOrigin = `http://127.0.0.1:${options.adminPort}`;
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
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#serving = promise;
    const log = createInterface({ input: this.#child.stderr ?? Readable.from([]) });
    log.on("line", (line) => {
      if (line.includes('"msg":"serving"')) resolve();
    });
    this.#child.once("exit", () => reject(new Error("Perch ended before it served")));
  }

  static async start(options: PerchOptions): Promise<PerchProcess> {
    const perch = new PerchProcess(options);
    await perch.#serving;
    return perch;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether the process has not ended. */
  get lives(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Whether it sends requests to every endpoint. */
  async hasAllEndpoints(): Promise<boolean> {
    const response = await fetch(`${this.#adminOrigin}/api/endpoints`);
    const { endpoints } = (await response.json()) as { endpoints: { state: string }[] };
    return endpoints.every(({ state }) => state === "up");
  }

  /** Drains it; resolves with the exit code. */
  async drain(): Promise<number | null> {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
