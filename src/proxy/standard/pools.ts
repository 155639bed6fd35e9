import { buildConnector, Pool } from "undici";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { EndpointAddress } from "../../upstream/endpoint-address.ts";
import type { Timeouts } from "../../upstream/service-spec.ts";
import { serverNameOf } from "./server-name.ts";

/** How long an unused connection to an endpoint is kept, unless the endpoint announces less. */
const keepAliveMs = 30_000;

/** An upstream's response head may not be larger than this, in octets. */
const responseHeadBytes = 64 * 1024;

/** The standard lane's connections: one pool an endpoint, kept across reloads while its timeouts stay the same. */
export class Pools {
  readonly #pools = new Map<Endpoint, { readonly pool: Pool; readonly timeouts: Timeouts }>();

  get(endpoint: Endpoint, timeouts: Timeouts): Pool {
    const known = this.#pools.get(endpoint);
    if (known !== undefined && (known.timeouts === timeouts || sameTimeouts(known.timeouts, timeouts)))
      return known.pool;
    if (known !== undefined) release(known.pool);
    const pool = new Pool(poolOrigin(endpoint.address), {
      connect: connectTo(endpoint, timeouts.connectMs),
      headersTimeout: timeouts.responseHeadersMs,
      bodyTimeout: timeouts.idleMs,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      maxHeaderSize: responseHeadBytes,
      pipelining: 1,
      allowH2: false,
    });
    this.#pools.set(endpoint, { pool, timeouts });
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

/** For undici, whose origins know no unix socket; the Host that is sent comes from the request. */
function poolOrigin({ origin, place }: EndpointAddress): string {
  return "path" in place ? "http://localhost" : origin;
}

/**
 * undici takes the TLS server name from the Host of each request, which is the client's to choose, and drops a connection
 * whenever it changes. The endpoint is who its address says.
 */
function connectTo({ address }: Endpoint, timeoutMs: number): buildConnector.connector {
  const { place } = address;
  const connect = buildConnector({ timeout: timeoutMs, ...("path" in place ? { socketPath: place.path } : {}) });
  const servername = serverNameOf(address);
  return (options, done) => connect({ ...options, servername }, done);
}

function sameTimeouts(a: Timeouts, b: Timeouts): boolean {
  return a.connectMs === b.connectMs && a.responseHeadersMs === b.responseHeadersMs && a.idleMs === b.idleMs;
}

function release(pool: Pool): void {
  // A pool that fails to close has nothing left to close: each request in it was answered by its own handler.
  pool.close().catch(() => {});
}
