import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import type { Misbehaviour } from "./chaos-upstream.ts";

const program = fileURLToPath(new URL("./chaos-upstream.ts", import.meta.url));

/** More than the process lets wait in its accept queue. */
const fillingConnections = 256;

/** One endpoint in its own process. */
export class UpstreamProcess {
  readonly port: number;
  readonly version: string;
  #child: ChildProcess | undefined;
  #filling: Socket[] = [];

  constructor(port: number, version: string) {
    this.port = port;
    this.version = version;
  }

  async start(): Promise<void> {
    const child = fork(program, [String(this.port), this.version], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child = child;
    await once(child, "message");
  }

  misbehave(misbehaviour: Misbehaviour): void {
    this.#child?.send(misbehaviour);
  }

  /** As a crash or the kernel's out-of-memory killer would. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** It does not accept and answer, but its port stays open, with a full queue. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
    this.#filling = Array.from({ length: fillingConnections }, () =>
      connect(this.port, "127.0.0.1").on("error", () => {}),
    );
  }

  thaw(): void {
    for (const socket of this.#filling.splice(0)) socket.destroy();
    this.#child?.kill("SIGCONT");
  }
}
