import type { Socket } from "node:net";
import { ReadOnSocket } from "../../node-internals.ts";
import { descriptorReserve } from "../../upstream/descriptor-reserve.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { isResourceExhaustion } from "../attempt-failure.ts";
import type { CachedClock } from "./cached-clock.ts";
import { type ReadOwner, SocketReader } from "./socket-reader.ts";
import { SocketWriter } from "./socket-writer.ts";
import { Deadline, LoopTicks, TimerWheel } from "./timer-wheel.ts";

/** What connections to upstreams need; shared by all listeners. */
export interface UpstreamContext {
  readonly clock: CachedClock;
  readonly deadlines: TimerWheel;
  readonly ticks: LoopTicks;
}

interface Pool {
  /** Last in, first out, so that surplus connections age at the other end and time out. */
  readonly idle: UpstreamConnection[];
  readonly all: Set<UpstreamConnection>;
}

/** The fast lane's connections to endpoints, kept across reloads. */
export class FastUpstreamPools {
  readonly context: UpstreamContext;
  readonly #pools = new Map<Endpoint, Pool>();
  /** Released in the current event loop tick. */
  readonly #released: (UpstreamConnection | undefined)[] = [];
  #releasedCount = 0;

  constructor(clock: CachedClock) {
    const deadlines = new TimerWheel(clock.monotonicMs);
    deadlines.start();
    this.context = { clock, deadlines, ticks: new LoopTicks(() => this.#settle()) };
  }

  /** Takes an idle connection for this request; undefined if there is none. */
  reuse(endpoint: Endpoint, user: UpstreamUser): UpstreamConnection | undefined {
    const idle = this.#pools.get(endpoint)?.idle;
    if (isSingleUse(endpoint, this.context.clock)) {
      for (const connection of idle?.splice(0) ?? []) connection.destroy();
      return undefined;
    }
    for (let connection = idle?.pop(); connection !== undefined; connection = idle?.pop()) {
      if (!connection.isOpen) continue;
      connection.use(user);
      return connection;
    }
    return undefined;
  }

  /** Opens a new connection; the user is notified when it is established. */
  open(endpoint: Endpoint, user: UpstreamUser): UpstreamConnection {
    const pool = this.#pool(endpoint);
    // At most `maxInFlight` connections may be open, idle ones included.
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

  /** The request is over. The connection becomes idle at the end of this event loop tick. */
  release(connection: UpstreamConnection): void {
    if (connection.endpoint.retired || connection.isLast || connection.keepMs === 0 || !connection.isOpen) {
      connection.destroy();
      return;
    }
    this.context.deadlines.arm(connection.deadline, connection.keepMs);
    this.#released[this.#releasedCount++] = connection;
  }

  /** An event loop tick is over: whatever upstreams sent right after their responses has been read by now. */
  #settle(): void {
    // The array keeps its length: to shorten it would give its memory back.
    const count = this.#releasedCount;
    this.#releasedCount = 0;
    for (let at = 0; at < count; at++) {
      const connection = this.#released[at];
      this.#released[at] = undefined;
      if (connection?.isOpen !== true) continue;
      const { endpoint } = connection;
      const pool = this.#pool(endpoint);
      if (endpoint.retired) connection.destroy();
      else if (pool.idle.push(connection) > endpoint.reuse.maxIdle) this.#closeOldest(pool);
    }
  }

  /** No snapshot uses the endpoint any more: idle connections close now, the others after their request. */
  retire(endpoint: Endpoint): void {
    const pool = this.#pools.get(endpoint);
    for (const connection of pool?.idle.splice(0) ?? []) connection.destroy();
  }

  /** Aborts all requests in flight. */
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
    const index = pool.idle.indexOf(connection);
    if (index >= 0) pool.idle.splice(index, 1);
    if (pool.all.size === 0) this.#pools.delete(connection.endpoint);
  }
}

function isSingleUse({ singleUse }: Endpoint, clock: CachedClock): boolean {
  return singleUse.untilMs !== 0 && singleUse.isActive(clock.nowMs());
}

/** We close this long before the endpoint's announced timeout, so that no request races with its close. */
const keepAliveMarginMs = 2_000;

/** More requests than a connection ever serves. V8 keeps it in the field; infinity would be an object of its own. */
const withoutEnd = 2 ** 30;

/** The request that uses a connection; receives the connection's events. */
export interface UpstreamUser {
  onUpstreamConnected(): void;
  /** False to stop reading until `resume`. */
  onUpstreamData(bytes: Buffer, length: number): boolean;
  /** The upstream has ended its side of the connection. */
  onUpstreamEnd(): void;
  /** The connection is closed, by either side. */
  onUpstreamClosed(): void;
  /** All pending writes have been handed to the kernel. */
  onUpstreamFlushed(): void;
  /** Another handler threw. */
  onDefect(error: unknown): void;
}

/** One connection to an endpoint: in use by one request, or idle. */
export class UpstreamConnection implements ReadOwner {
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  /** How long it may stay idle after this request, in milliseconds; 0: it is closed. */
  keepMs = 0;
  /** The connect failed because this process has run out of a resource, such as file descriptors or ports. */
  resourcesExhausted = false;
  /** The socket's error, if any. */
  error: Error | undefined;
  readonly deadline: Deadline;
  readonly writer: SocketWriter;
  readonly #context: UpstreamContext;
  readonly #closed: (connection: UpstreamConnection) => void;
  /** Requests that may still be sent on it, the current one included. */
  #requestsLeft: number;
  /** The event loop tick in which the current request was written; -1 if not watched. */
  #writtenInTick = -1;
  #user: UpstreamUser | undefined;
  /** Undefined until it is connected. */
  #reads: SocketReader | undefined;
  /** Neither side has ended it. */
  #isOpen = true;

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
    this.#requestsLeft = Math.min(endpoint.reuse.maxRequests, withoutEnd);
    this.deadline = new Deadline(this);
    this.socket =
      descriptorReserve.socketWithoutDescriptor() ??
      new ReadOnSocket({ noDelay: true } as ConstructorParameters<typeof Socket>[0]).connect(endpoint.address.place);
    this.writer = new SocketWriter(this.socket, () => this.#notify((user) => user.onUpstreamFlushed()));
    this.socket
      .on("connect", () => this.#onConnect())
      .on("end", () => this.#onEnd())
      // `close` follows and notifies the user.
      .on("error", (error) => {
        this.#isOpen = false;
        this.resourcesExhausted = isResourceExhaustion(error);
        this.error = error;
      })
      .on("close", () => this.#onClose());
  }

  /** Whether it can take a request. The socket says the same, and costs three times the memory to look at. */
  get isOpen(): boolean {
    return this.#isOpen && !this.writer.broken;
  }

  use(user: UpstreamUser): void {
    this.#user = user;
    this.#requestsLeft--;
    this.deadline.disarm();
  }

  /** Call right before writing a request to an idle connection, if in the tick that read the client's bytes. */
  watchTick(): void {
    this.#writtenInTick = this.#context.ticks.current;
  }

  /**
   * Whether the bytes read now were sent before the request was written: an unsolicited response, which would be taken
   * for the response to this request.
   */
  isPoisoned(): boolean {
    if (this.#writtenInTick < 0) return false;
    const poisoned = this.#writtenInTick === this.#context.ticks.current;
    this.#writtenInTick = -1;
    if (poisoned) this.#unsolicited();
    return poisoned;
  }

  /** Whether the current request is the last on this connection. */
  get isLast(): boolean {
    return this.#requestsLeft <= 1 || isSingleUse(this.endpoint, this.#context.clock);
  }

  /** The response's head was read. `keepSeconds`, `maxRequests`: as announced by the upstream, if at all. */
  limitReuse(keepSeconds: number | undefined, maxRequests: number | undefined): void {
    const { keepAliveMs } = this.endpoint.reuse;
    const announcedMs = keepSeconds === undefined ? keepAliveMs : keepSeconds * 1000 - keepAliveMarginMs;
    this.keepMs = Math.max(0, Math.min(keepAliveMs, announcedMs));
    if (maxRequests !== undefined) this.#requestsLeft = Math.min(this.#requestsLeft, maxRequests + 1);
  }

  /** The response does not leave the connection to another request. */
  endReuse(): void {
    this.keepMs = 0;
  }

  /** Bytes followed the complete response. */
  surplus(): void {
    if (this.keepMs > 0 && !this.isLast) this.#unsolicited();
    else this.endpoint.singleUse.prolong(this.#context.clock.nowMs());
    this.destroy();
  }

  #unsolicited(): void {
    this.endpoint.sentUnsolicited(this.#context.clock.nowMs());
  }

  /** Resumes reading after `onUpstreamData` returned false. */
  resume(): void {
    this.#reads?.resume();
  }

  /** From the next read on, reads into a buffer that no other connection uses. */
  useOwnBuffer(): void {
    this.#reads?.useOwn();
  }

  /** Its request is over. `written`: whether a pending write may still refer to the buffer. */
  leave(written: "flushed" | "pending"): void {
    this.#user = undefined;
    this.#reads?.useShared(written);
  }

  destroy(): void {
    this.#user = undefined;
    this.#isOpen = false;
    this.socket.destroy();
  }

  /** The idle timeout expired. */
  onDeadline(): void {
    this.destroy();
  }

  #onConnect(): void {
    this.#reads = new SocketReader(this.socket, this);
    this.#notify((user) => user.onUpstreamConnected());
  }

  onRead(bytes: Buffer, length: number): boolean {
    const { clock, ticks } = this.#context;
    clock.freeze();
    ticks.eventHandled();
    const continueReading = this.#take(length, bytes);
    clock.unfreeze();
    return continueReading;
  }

  #take(length: number, bytes: Buffer): boolean {
    const user = this.#user;
    if (user === undefined) {
      // The next request on this connection would take them for its response.
      if (!this.socket.destroyed) this.#unsolicited();
      this.destroy();
      return false;
    }
    try {
      return user.onUpstreamData(bytes, length);
    } catch (error) {
      user.onDefect(error);
      return false;
    }
  }

  /** An exception in one request's handler must not end the process. */
  #notify(event: (user: UpstreamUser) => void): void {
    const user = this.#user;
    if (user === undefined) return;
    try {
      event(user);
    } catch (error) {
      user.onDefect(error);
    }
  }

  #onEnd(): void {
    this.#context.ticks.eventHandled();
    this.#isOpen = false;
    if (this.#user === undefined) this.socket.destroy();
    else this.#notify((user) => user.onUpstreamEnd());
  }

  #onClose(): void {
    this.#isOpen = false;
    this.deadline.cancel();
    this.#closed(this);
    this.#notify((user) => user.onUpstreamClosed());
    this.#user = undefined;
  }
}
