import { type buildConnector, Client, type Dispatcher } from "undici";
import { PerchError } from "../../errors.ts";
import { clientOrigin, connectTo } from "../../upstream/connector.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { maxResponseTrailerBytes } from "../http1/body-parser.ts";
import { ResponseFilter } from "./response-filter.ts";
import {
  neverStarted,
  type QueuedRequest,
  type TransportOptions,
  type UpstreamPool,
  type UpstreamRequest,
} from "./transport.ts";
import { isUnsolicited } from "./undici-errors.ts";

/** One connection: an undici client, which connects when it gets its first request. */
interface Connection {
  readonly client: Client;
  isConnected: boolean;
  isIdle: boolean;
}

/**
 * The HTTP/1.1 connections to one endpoint. Not undici's pool, which neither limits its idle connections nor prefers
 * them to new ones. The one used last is reused first, so that surplus ones time out.
 */
export class Http1Upstream implements UpstreamPool {
  readonly #endpoint: Endpoint;
  readonly #options: TransportOptions;
  readonly #nowMs: () => number;
  readonly #connect: buildConnector.connector;
  readonly #connections = new Set<Connection>();
  readonly #idle: Connection[] = [];
  /** A request may come before undici has freed the connection of the one before it, if their number is limited. */
  readonly #queue: QueuedRequest[] = [];
  #isClosing = false;

  constructor(endpoint: Endpoint, options: TransportOptions, nowMs: () => number) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#nowMs = nowMs;
    this.#connect = connectTo(endpoint.address, options.timeouts.connectMs, options.tls);
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const isSingleUse = this.#endpoint.singleUse.isActive(this.#nowMs());
    // What they hold may be a response already.
    if (isSingleUse) for (const connection of this.#idle.splice(0)) this.#drop(connection);
    // undici gives a connection up after a GET, DELETE or OPTIONS with a body unless told not to; one whose body was not
    // sent to its end it closes in any case. After a HEAD some upstreams send a body.
    const reset = isSingleUse || request.method === "HEAD";
    const queued = { request: { ...request, reset }, handler };
    const connection = this.#idle.pop() ?? this.#openWithinLimit();
    if (connection === undefined) this.#queue.push(queued);
    else this.#send(connection, queued);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const queued of this.#queue.splice(0)) this.#send(this.#open(), queued);
    await Promise.all(Array.from(this.#connections, ({ client }) => client.close()));
  }

  async destroy(): Promise<void> {
    this.#isClosing = true;
    for (const { handler } of this.#queue.splice(0)) {
      handler.onResponseError?.(neverStarted, new PerchError("connect-failed"));
    }
    await Promise.all(Array.from(this.#connections, ({ client }) => client.destroy()));
  }

  #openWithinLimit(): Connection | undefined {
    return this.#connections.size < this.#endpoint.maxInFlight ? this.#open() : undefined;
  }

  #open(): Connection {
    const { reuse, address } = this.#endpoint;
    const { timeouts } = this.#options;
    const client: Client = new Client(clientOrigin(address), {
      connect: (options, done) =>
        this.#connect(
          options,
          this.#observing(() => connection, done),
        ),
      headersTimeout: timeouts.responseHeadersMs,
      bodyTimeout: timeouts.idleMs,
      keepAliveTimeout: reuse.keepAliveMs,
      keepAliveMaxTimeout: reuse.keepAliveMs,
      ...(Number.isFinite(reuse.maxRequests) ? { maxRequestsPerClient: reuse.maxRequests } : {}),
      // The filter limits heads and trailers; undici has one limit for both.
      maxHeaderSize: Math.max(this.#options.responseHead.bytes, maxResponseTrailerBytes),
      pipelining: 1,
      allowH2: false,
    });
    const connection: Connection = { client, isConnected: false, isIdle: false };
    client
      .on("connect", () => {
        connection.isConnected = true;
      })
      .on("disconnect", () => {
        connection.isConnected = false;
        if (connection.isIdle) this.#drop(connection);
      })
      .on("drain", () => this.#freed(connection));
    this.#connections.add(connection);
    return connection;
  }

  /** undici closes a connection that sends bytes while no request is in progress. This tells why. */
  #observing(connection: () => Connection, done: buildConnector.Callback): buildConnector.Callback {
    return (...result) => {
      const [error, socket] = result;
      if (error === null) {
        ResponseFilter.install(socket, this.#options.responseHead, () =>
          this.#endpoint.singleUse.prolong(this.#nowMs()),
        );
        socket.on("error", (cause) => {
          if (connection().client.stats.running === 0 && isUnsolicited(cause)) {
            this.#endpoint.sentUnsolicited(this.#nowMs());
          }
        });
      }
      done(...result);
    };
  }

  #send(connection: Connection, { request, handler }: QueuedRequest): void {
    connection.isIdle = false;
    const isReady = connection.client.dispatch(request, handler);
    // A request that undici refuses to send is never followed by `drain`.
    if (isReady || connection.client.stats.size === 0) this.#freed(connection);
  }

  #freed(connection: Connection): void {
    if (connection.isIdle || !this.#connections.has(connection)) return;
    const queued = this.#queue.shift();
    if (queued !== undefined) {
      this.#send(connection, queued);
      return;
    }
    if (this.#isClosing || !connection.isConnected) {
      this.#drop(connection);
      return;
    }
    connection.isIdle = true;
    if (this.#idle.push(connection) <= this.#endpoint.reuse.maxIdle) return;
    const oldest = this.#idle[0];
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(connection: Connection): void {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#connections.delete(connection);
    // Rejects only if it is already closed.
    connection.client.close().catch(() => {});
  }
}
