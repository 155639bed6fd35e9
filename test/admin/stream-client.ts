import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { freeAfterTest } from "../kit/freed.ts";

/** The port of an admin server that listens until the current test ends. */
export async function portOf(server: FastifyInstance): Promise<number> {
  await server.listen({ host: "127.0.0.1", port: 0 });
  freeAfterTest(() => server.close());
  return (server.server.address() as AddressInfo).port;
}

export interface SentEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A client of server-sent events, and what it has received. */
export class StreamClient {
  readonly socket: Socket;
  readonly #chunks: string[] = [];

  constructor(port: number, request: string, headers: Readonly<Record<string, string>> = {}) {
    const lines = Object.entries({ host: "localhost", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket = connect(port, "127.0.0.1").setEncoding("latin1").setMaxListeners(0);
    this.socket.on("error", () => {}).on("data", (more: string) => this.#chunks.push(more));
    this.socket.write(`${request} HTTP/1.1\r\n${lines.join("")}\r\n`);
    freeAfterTest(async () => void this.socket.destroy());
  }

  get text(): string {
    return this.#chunks.join("");
  }

  /** Without the marks of the chunked coding, each of which is a line of its own here. */
  get body(): string {
    const body = this.text.slice(this.text.indexOf("\r\n\r\n") + 4);
    return body.replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, "");
  }

  get events(): SentEvent[] {
    const found = this.body.matchAll(/^(?:id: (.*)\n)?event: (.*)\ndata: (.*)\n\n/gm);
    return Array.from(found, ([, id, event = "", data = ""]) => ({ id, event, data: JSON.parse(data) }));
  }

  /** The data of all events of a kind. */
  of(event: string): SentEvent["data"][] {
    return this.events.filter((each) => each.event === event).map(({ data }) => data);
  }

  /** Waits until the condition holds after what was received, or the connection closes. */
  async until(holds: () => boolean): Promise<void> {
    const closed = once(this.socket, "close");
    while (!holds() && !this.socket.destroyed) await Promise.race([once(this.socket, "data"), closed]);
  }

  async closed(): Promise<void> {
    if (!this.socket.destroyed) await once(this.socket, "close");
  }
}
