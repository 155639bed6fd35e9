import type { Socket } from "node:net";
import type { DownstreamInfo } from "../downstream.ts";
import { ResponseParser } from "../http1/response-parser.ts";
import type { ProxyContext } from "../proxy-context.ts";
import { ClientConnection, type ConnectionOwner } from "./client-connection.ts";
import type { FastContext } from "./fast-context.ts";
import { ForwardedLinesCache } from "./forwarded-lines.ts";
import { RequestParser } from "./request-parser.ts";
import { RequestRecords } from "./request-record.ts";
import { HttpDate, RelayPool } from "./response-writer.ts";
import type { FastUpstreamPools } from "./upstream-pool.ts";

/** Takes connections that this lane does not serve. */
export interface OtherLane {
  /** Bytes read but not parsed have been put back into the socket. */
  accept(socket: Socket, downstream: DownstreamInfo): void;
}

/**
 * The fast lane of one listener: raw sockets on both sides, and a parser that accepts only unambiguous requests.
 * Everything else is handed over unparsed to the other lane, which treats it as if this lane did not exist.
 */
export class FastLane implements ConnectionOwner {
  readonly records: RequestRecords;
  readonly #context: FastContext;
  readonly #other: OtherLane;
  readonly #connections = new Set<ClientConnection>();
  #closed: PromiseWithResolvers<void> | undefined;

  constructor(context: ProxyContext, pools: FastUpstreamPools, other: OtherLane) {
    this.#other = other;
    this.#context = {
      ...pools.context,
      context,
      pools,
      date: new HttpDate(() => context.nowMs()),
      lines: new ForwardedLinesCache(),
      relays: new RelayPool(),
      requests: new RequestParser(),
      responses: new ResponseParser(),
    };
    this.records = new RequestRecords(this.#context);
  }

  /** Takes a connection that has not been read from, or whose bytes were put back. */
  accept(socket: Socket, downstream: DownstreamInfo): void {
    const connection = new ClientConnection(this.#context, this, socket, downstream);
    this.#connections.add(connection);
    connection.begin();
  }

  handOver(socket: Socket, downstream: DownstreamInfo): void {
    this.#other.accept(socket, downstream);
  }

  get isClosing(): boolean {
    return this.#closed !== undefined;
  }

  closed(connection: ClientConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#closed?.resolve();
  }

  /**
   * Closes idle connections, and resolves once the last request has ended. The listener must have stopped accepting. A
   * stop during a drain calls it again: both calls resolve.
   */
  async close(): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>();
    for (const connection of this.#connections) if (connection.isIdle) connection.destroy();
    if (this.#connections.size === 0) this.#closed.resolve();
    await this.#closed.promise;
  }

  /** Aborts the requests that `close` still waits for. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}
