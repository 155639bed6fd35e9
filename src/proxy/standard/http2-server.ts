import type { Socket } from "node:net";
import type { Gateway } from "../gateway.ts";
import type { Peer } from "../peer.ts";
import type { ForwardContext } from "./forward.ts";
import { Http2Connection } from "./http2-connection.ts";

/** The HTTP/2 connections of one listener: with prior knowledge (h2c), or as TLS agreed on by ALPN. */
export class Http2Server {
  readonly #gateway: Gateway;
  readonly #context: ForwardContext;
  readonly #connections = new Set<Http2Connection>();
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(gateway: Gateway, context: ForwardContext) {
    this.#gateway = gateway;
    this.#context = context;
  }

  /** Takes a connection over; what was read from it and not yet understood has been put back. */
  accept(socket: Socket, peer: Peer): void {
    // It may have gone while it was found out what it speaks.
    if (socket.destroyed) return;
    const connection = new Http2Connection(this.#gateway, this.#context, { socket, peer }, () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#closing?.resolve();
    });
    this.#connections.add(connection);
    if (this.#closing !== undefined) connection.end();
  }

  /** Has every connection end behind the requests under way, and resolves once they have. */
  async close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    for (const connection of this.#connections) connection.end();
    if (this.#connections.size > 0) await this.#closing.promise;
  }

  /** Breaks off whatever `close` still waits for. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}
