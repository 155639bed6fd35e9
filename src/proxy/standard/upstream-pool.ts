import { Pool } from "undici";
import { clientOrigin, connectTo } from "../../upstream/connector.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { Http2Upstream } from "./http2-pool.ts";
import type { TransportOptions, UpstreamPool } from "./transport.ts";

/** How long an unused connection to an endpoint is kept, unless the endpoint announces less. */
const keepAliveMs = 30_000;

/** An upstream's response head may not be larger than this, in bytes. */
const responseHeadBytes = 64 * 1024;

interface Known {
  readonly pool: UpstreamPool;
  readonly way: TransportOptions;
  readonly connections: number;
}

/** The standard lane's connections: one pool an endpoint, kept across reloads while it is spoken to in the same way. */
export class UpstreamPools {
  readonly #pools = new Map<Endpoint, Known>();

  get(endpoint: Endpoint, way: TransportOptions): UpstreamPool {
    const known = this.#pools.get(endpoint);
    const { maxInFlight: connections } = endpoint;
    if (known?.connections === connections && isSameWay(known.way, way)) return known.pool;
    if (known !== undefined) release(known.pool);
    const pool = way.protocol === "http2" ? new Http2Upstream(endpoint.address, way) : http1Pool(endpoint, way);
    this.#pools.set(endpoint, { pool, way, connections });
    return pool;
  }

  /** No snapshot names it any more: what is in flight ends, then its connections close. */
  retire(endpoint: Endpoint): void {
    const known = this.#pools.get(endpoint);
    if (known === undefined) return;
    this.#pools.delete(endpoint);
    release(known.pool);
  }

  /** Breaks off whatever is still in flight. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.destroy()));
  }
}

function http1Pool(endpoint: Endpoint, { timeouts, tls }: TransportOptions): Pool {
  return new Pool(clientOrigin(endpoint.address), {
    connect: connectTo(endpoint.address, timeouts.connectMs, tls),
    headersTimeout: timeouts.responseHeadersMs,
    bodyTimeout: timeouts.idleMs,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    maxHeaderSize: responseHeadBytes,
    pipelining: 1,
    // A request that takes another's place may come before undici is done with that one's connection.
    connections: endpoint.maxInFlight === Number.POSITIVE_INFINITY ? null : endpoint.maxInFlight,
    allowH2: false,
  });
}

/** The other timeouts are told with each request. */
function isSameWay(a: TransportOptions, b: TransportOptions): boolean {
  if (a === b) return true;
  return a.protocol === b.protocol && a.tls?.digest === b.tls?.digest && a.timeouts.connectMs === b.timeouts.connectMs;
}

function release(pool: UpstreamPool): void {
  // A pool that fails to close has nothing left to close: each request in it was answered by its own handler.
  pool.close().catch(() => {});
}
