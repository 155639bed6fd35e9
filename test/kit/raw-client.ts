import net, { type Socket } from "node:net";
import { expect } from "vitest";

/** A client that writes and reads bytes, for what no HTTP library would send. */
export class RawClient {
  readonly socket: Socket;
  received = "";
  #waiting: { readonly until: (received: string) => boolean; readonly resolve: (received: string) => void }[] = [];
  #closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.received += chunk;
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  static connect(port: number): Promise<RawClient> {
    const { promise, resolve, reject } = Promise.withResolvers<RawClient>();
    const socket = net.connect({ port, host: "127.0.0.1" }, () => resolve(new RawClient(socket)));
    socket.once("error", reject);
    return promise;
  }

  send(bytes: string): void {
    this.socket.write(bytes, "latin1");
  }

  /** Everything received, once it satisfies `until` or the connection has closed. */
  read(until: (received: string) => boolean = () => false): Promise<string> {
    if (this.#closed || until(this.received)) return Promise.resolve(this.received);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.push({ until, resolve });
    return promise;
  }

  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    const ready = this.#waiting.filter(({ until }) => this.#closed || until(this.received));
    this.#waiting = this.#waiting.filter((waiting) => !ready.includes(waiting));
    for (const { resolve } of ready) resolve(this.received);
  }
}

/** Resolves once nothing listens on this port any more. */
export async function portClosed(port: number): Promise<void> {
  const attempt = () =>
    RawClient.connect(port).then(
      (client) => client.close(),
      () => "refused",
    );
  await expect.poll(attempt).toBe("refused");
}
