import { connect, type Socket } from "node:net";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { isResourceExhaustion } from "../attempt-failure.ts";
import type { CachedClock } from "../cached-clock.ts";
import { ReadBuffers, ReadTarget, SocketWriter } from "./socket-writer.ts";
import { Deadline, LoopTicks, TimerWheel } from "./timer-wheel.ts";

/** What connections to upstreams need, whichever listener's requests they carry: one for all listeners. */
export interface UpstreamContext {
  readonly clock: CachedClock;
  readonly buffers: ReadBuffers;
  readonly deadlines: TimerWheel;
  readonly turns: LoopTicks;
}

interface Pool {
  /** The last used is the next used, so that what is not needed grows old at the other end. */
  readonly idle: UpstreamConnection[];
  readonly all: Set<UpstreamConnection>;
}

/** The fast lane's connections to endpoints, kept across reloads. */
export class FastUpstreamPools {
  readonly context: UpstreamContext;
  readonly #pools = new Map<Endpoint, Pool>();
  /** Given back in the present turn of the event loop. */
  readonly #resting: UpstreamConnection[] = [];

  constructor(clock: CachedClock) {
    const deadlines = new TimerWheel(clock.monotonicMs);
    deadlines.start();
    this.context = { clock, buffers: new ReadBuffers(), deadlines, turns: new LoopTicks(() => this.#settle()) };
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

/** How long an unused connection to an endpoint is kept, unless the endpoint announces less. */
const keepAliveMs = 30_000;
/** Left by us this long before the endpoint said that it will, so that no request meets its leaving. */
const keepAliveMarginMs = 2_000;

/** The request that a connection serves; hears all that happens to it. */
export interface UpstreamUser {
  onUpstreamConnected(): void;
  /** False to stop reading until `resume`. */
  onUpstreamData(bytes: Buffer, length: number): boolean;
  /** The upstream has no more to say. */
  onUpstreamEnd(): void;
  /** The connection is gone, by whoever's doing. */
  onUpstreamClosed(): void;
  /** What was written last has left this process. */
  onUpstreamFlushed(): void;
  /** One of the others threw. */
  onDefect(error: unknown): void;
}

/** One connection to an endpoint: in the hands of one request, or idle. */
export class UpstreamConnection {
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  /** How long it may be kept idle after this request, in milliseconds; 0: not at all. */
  keepMs = 0;
  /** It was never made, since this process has nothing left to make it with. */
  starved = false;
  /** What broke it. */
  error: Error | undefined;
  readonly deadline: Deadline;
  readonly writer: SocketWriter;
  readonly #context: UpstreamContext;
  readonly #closed: (connection: UpstreamConnection) => void;
  /** The turn of the event loop in which the present request was written, where that matters. */
  #writtenInTurn = -1;
  #user: UpstreamUser | undefined;
  readonly #target: ReadTarget;

  constructor(
    context: UpstreamContext,
    endpoint: Endpoint,
    user: UpstreamUser,
    closed: (connection: UpstreamConnection) => void,
  ) {
    this.endpoint = endpoint;
    this.#context = context;
    this.#user = user;
    this.#closed = closed;
    this.#target = new ReadTarget(context.buffers);
    this.deadline = new Deadline(this);
    this.socket = connect({
      ...endpoint.address.place,
      noDelay: true,
      onread: { buffer: this.#target.next, callback: (length, bytes) => this.#onRead(length, bytes as Buffer) },
    });
    this.writer = new SocketWriter(this.socket, context.buffers, () => this.#tell((user) => user.onUpstreamFlushed()));
    this.socket
      .on("connect", () => this.#tell((user) => user.onUpstreamConnected()))
      .on("end", () => this.#onEnd())
      // Whatever broke is also told by `close`.
      .on("error", (error) => {
        this.starved = isResourceExhaustion(error);
        this.error = error;
      })
      .on("close", () => this.#onClose());
  }

  use(user: UpstreamUser): void {
    this.#user = user;
    this.deadline.disarm();
  }

  /** To be called right before a request is written to a connection that was idle, while the client's bytes are read. */
  watchTurn(): void {
    this.#writtenInTurn = this.#context.turns.current;
  }

  /**
   * Whether what is read now was sent before the request was: an answer that nobody asked for, and that would be taken
   * for the one to this request.
   */
  isPoisoned(): boolean {
    if (this.#writtenInTurn < 0) return false;
    const poisoned = this.#writtenInTurn === this.#context.turns.current;
    this.#writtenInTurn = -1;
    return poisoned;
  }

  /** The response's head came; the upstream keeps the connection for so many seconds, or as long as we like. */
  answered(keepSeconds: number | undefined): void {
    const announcedMs = keepSeconds === undefined ? keepAliveMs : keepSeconds * 1000 - keepAliveMarginMs;
    this.keepMs = Math.max(0, Math.min(keepAliveMs, announcedMs));
  }

  /** Reads on after `onUpstreamData` answered false. */
  resume(): void {
    this.socket.resume();
  }

  /** From the next read on, bytes come in a buffer that no other connection reads into. */
  useOwnBuffer(): void {
    this.#target.useOwn();
  }

  /** Its request is over. `written`: whether a write may still hold on to the buffer. */
  leave(written: "flushed" | "pending"): void {
    this.#user = undefined;
    this.#target.useShared(written);
  }

  destroy(): void {
    this.#user = undefined;
    this.socket.destroy();
  }

  /** Idle for too long. */
  onDeadline(): void {
    this.destroy();
  }

  #onRead(length: number, bytes: Buffer): boolean {
    const { clock, turns } = this.#context;
    clock.freeze();
    turns.eventHandled();
    this.#target.readBegun();
    const goesOn = this.#take(length, bytes);
    clock.unfreeze();
    return goesOn;
  }

  #take(length: number, bytes: Buffer): boolean {
    const user = this.#user;
    if (user === undefined) {
      // Nothing was asked: whoever got this connection next would take it for the answer to another request.
      this.socket.destroy();
      return false;
    }
    try {
      return user.onUpstreamData(bytes, length);
    } catch (error) {
      user.onDefect(error);
      return false;
    }
  }

  /** What a request makes of an event must not end the process that serves all the others. */
  #tell(event: (user: UpstreamUser) => void): void {
    const user = this.#user;
    if (user === undefined) return;
    try {
      event(user);
    } catch (error) {
      user.onDefect(error);
    }
  }

  #onEnd(): void {
    if (this.#user === undefined) this.socket.destroy();
    else this.#tell((user) => user.onUpstreamEnd());
  }

  #onClose(): void {
    this.deadline.cancel();
    this.#closed(this);
    this.#tell((user) => user.onUpstreamClosed());
    this.#user = undefined;
  }
}
