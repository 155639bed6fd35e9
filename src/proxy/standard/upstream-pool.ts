import type { Endpoint } from "../../upstream/endpoint.ts";
import type { ReuseSpec } from "../../upstream/service-spec.ts";
import { Http1Upstream } from "./http1-pool.ts";
import { Http2Upstream } from "./http2-pool.ts";
import type { TransportOptions, UpstreamPool } from "./transport.ts";

interface PoolEntry {
  readonly pool: UpstreamPool;
  readonly options: TransportOptions;
  readonly reuse: ReuseSpec;
}

/**
 * The standard lane's upstream connections: one pool per endpoint, kept across reloads with the same transport options.
 */
export class UpstreamPools {
  readonly #pools = new Map<Endpoint, PoolEntry>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get(endpoint: Endpoint, options: TransportOptions): UpstreamPool {
    const entry = this.#pools.get(endpoint);
    const { reuse } = endpoint;
    if (entry !== undefined && isSameReuse(entry.reuse, reuse) && isSameTransport(entry.options, options))
      return entry.pool;
    if (entry !== undefined) closePool(entry.pool);
    const pool =
      options.protocol === "http2"
        ? new Http2Upstream(endpoint, options)
        : new Http1Upstream(endpoint, options, this.#nowMs);
    this.#pools.set(endpoint, { pool, options, reuse });
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

/** Other timeouts are set for each request. */
function isSameTransport(a: TransportOptions, b: TransportOptions): boolean {
  if (a === b) return true;
  if (a.responseHead.bytes !== b.responseHead.bytes || a.responseHead.fields !== b.responseHead.fields) return false;
  return a.protocol === b.protocol && a.tls?.digest === b.tls?.digest && a.timeouts.connectMs === b.timeouts.connectMs;
}

/** The number of idle connections is read whenever one is freed. */
function isSameReuse(a: ReuseSpec, b: ReuseSpec): boolean {
  return a === b || (a.keepAliveMs === b.keepAliveMs && a.maxRequests === b.maxRequests);
}

function closePool(pool: UpstreamPool): void {
  // Rejects only if the pool is already closed. Requests report errors to their own handlers.
  pool.close().catch(() => {});
}
