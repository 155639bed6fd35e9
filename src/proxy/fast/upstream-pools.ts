import type { Endpoint } from "../../upstream/endpoint.ts";
import type { EventClock } from "../event-clock.ts";
import { Deadlines } from "./deadlines.ts";
import { EventTurns } from "./event-turns.ts";
import type { UpstreamContext } from "./fast-context.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { UpstreamConnection, type UpstreamUser } from "./upstream-connection.ts";

interface Pool {
  /** The last used is the next used, so that what is not needed grows old at the other end. */
  readonly idle: UpstreamConnection[];
  readonly all: Set<UpstreamConnection>;
}

/** The fast lane's connections to endpoints, kept across reloads. */
export class UpstreamPools {
  readonly context: UpstreamContext;
  readonly #pools = new Map<Endpoint, Pool>();
  /** Given back in the present turn of the event loop. */
  readonly #resting: UpstreamConnection[] = [];

  constructor(clock: EventClock) {
    const deadlines = new Deadlines(clock.monotonicMs);
    deadlines.start();
    this.context = { clock, buffers: new ReadBuffers(), deadlines, turns: new EventTurns(() => this.#settle()) };
  }

  /** An idle connection, in the hands of this request now; undefined where there is none. */
  reuse(endpoint: Endpoint, user: UpstreamUser): UpstreamConnection | undefined {
    const idle = this.#pools.get(endpoint)?.idle;
    for (let connection = idle?.pop(); connection !== undefined; connection = idle?.pop()) {
      if (connection.socket.destroyed || !connection.socket.writable) continue;
      connection.use(user);
      return connection;
    }
    return undefined;
  }

  /** A new connection; the request hears when it stands. */
  open(endpoint: Endpoint, user: UpstreamUser): UpstreamConnection {
    const pool = this.#pool(endpoint);
    // As many as may be in use may stand: one that is idle makes room.
    if (pool.all.size >= endpoint.maxInFlight) this.#closeOldest(pool);
    const connection = new UpstreamConnection(this.context, endpoint, user, (closed) => this.#forget(closed));
    pool.all.add(connection);
    return connection;
  }

  #closeOldest(pool: Pool): void {
    const oldest = pool.idle.shift();
    if (oldest === undefined) return;
    pool.all.delete(oldest);
    oldest.destroy();
  }

  /** The request is over and the connection fit for the next, once this turn of the event loop is over. */
  release(connection: UpstreamConnection): void {
    if (connection.endpoint.retired || connection.keepMs === 0) {
      connection.destroy();
      return;
    }
    this.context.deadlines.arm(connection.deadline, connection.keepMs);
    this.#resting.push(connection);
  }

  /** A turn of the event loop is over: what an upstream did right behind its answers has been seen by now. */
  #settle(): void {
    if (this.#resting.length === 0) return;
    for (const connection of this.#resting) {
      if (connection.socket.destroyed) continue;
      if (connection.endpoint.retired) connection.destroy();
      else this.#pool(connection.endpoint).idle.push(connection);
    }
    this.#resting.length = 0;
  }

  /** No snapshot names it any more: idle connections close now, the others after their request. */
  retire(endpoint: Endpoint): void {
    const pool = this.#pools.get(endpoint);
    for (const connection of pool?.idle.splice(0) ?? []) connection.destroy();
  }

  /** Breaks off whatever is still in flight. */
  destroy(): void {
    for (const { all } of this.#pools.values()) for (const connection of all) connection.destroy();
    this.#pools.clear();
    this.context.deadlines.stop();
  }

  #pool(endpoint: Endpoint): Pool {
    const known = this.#pools.get(endpoint);
    if (known !== undefined) return known;
    const pool: Pool = { idle: [], all: new Set() };
    this.#pools.set(endpoint, pool);
    return pool;
  }

  #forget(connection: UpstreamConnection): void {
    const pool = this.#pools.get(connection.endpoint);
    if (pool === undefined) return;
    pool.all.delete(connection);
    const place = pool.idle.indexOf(connection);
    if (place >= 0) pool.idle.splice(place, 1);
    if (pool.all.size === 0) this.#pools.delete(connection.endpoint);
  }
}
