import { type buildConnector, Pool } from "undici";
import { clientOrigin, connectTo } from "../../upstream/connector.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { Http2Upstream } from "./http2-pool.ts";
import { ResponseFilter } from "./response-filter.ts";
import type { TransportOptions, UpstreamPool } from "./transport.ts";

/** How long an idle connection to an endpoint is kept, unless the endpoint announces less. */
const keepAliveMs = 30_000;

/** Maximum bytes of a response head. */
const maxResponseHeadBytes = 64 * 1024;

interface PoolEntry {
  readonly pool: UpstreamPool;
  readonly options: TransportOptions;
  readonly connections: number;
}

/**
 * The standard lane's upstream connections: one pool per endpoint, kept across reloads with the same transport options.
 */
export class UpstreamPools {
  readonly #pools = new Map<Endpoint, PoolEntry>();

  get(endpoint: Endpoint, options: TransportOptions): UpstreamPool {
    const entry = this.#pools.get(endpoint);
    const { maxInFlight: connections } = endpoint;
    if (entry?.connections === connections && isSameTransport(entry.options, options)) return entry.pool;
    if (entry !== undefined) closePool(entry.pool);
    const pool =
      options.protocol === "http2" ? new Http2Upstream(endpoint.address, options) : http1Pool(endpoint, options);
    this.#pools.set(endpoint, { pool, options, connections });
    return pool;
  }

  /** For an endpoint that no snapshot contains any more: closes its pool once requests in flight have ended. */
  retire(endpoint: Endpoint): void {
    const entry = this.#pools.get(endpoint);
    if (entry === undefined) return;
    this.#pools.delete(endpoint);
    closePool(entry.pool);
  }

  /** Aborts requests in flight. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.destroy()));
  }
}

function http1Pool(endpoint: Endpoint, { timeouts, tls }: TransportOptions): Pool {
  return new Pool(clientOrigin(endpoint.address), {
    connect: filtered(connectTo(endpoint.address, timeouts.connectMs, tls)),
    headersTimeout: timeouts.responseHeadersMs,
    bodyTimeout: timeouts.idleMs,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    maxHeaderSize: maxResponseHeadBytes,
    pipelining: 1,
    // A request may be dispatched before undici has freed the connection of the one before it.
    connections: endpoint.maxInFlight === Number.POSITIVE_INFINITY ? null : endpoint.maxInFlight,
    allowH2: false,
  });
}

function filtered(connect: buildConnector.connector): buildConnector.connector {
  return (options, done) =>
    connect(options, (...result) => {
      const [error, socket] = result;
      if (error === null) ResponseFilter.install(socket);
      done(...result);
    });
}

/** Other timeouts are set for each request. */
function isSameTransport(a: TransportOptions, b: TransportOptions): boolean {
  if (a === b) return true;
  return a.protocol === b.protocol && a.tls?.digest === b.tls?.digest && a.timeouts.connectMs === b.timeouts.connectMs;
}

function closePool(pool: UpstreamPool): void {
  // Rejects only if the pool is already closed. Requests report errors to their own handlers.
  pool.close().catch(() => {});
}
