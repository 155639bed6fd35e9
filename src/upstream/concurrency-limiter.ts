import type { Timers } from "./clock.ts";
import type { LimitSpec } from "./service-spec.ts";

/** A queued request. One of the two is called once, unless it is cancelled before. */
export interface Waiter {
  admitted(): void;
  /** The pending timeout has passed. */
  expired(): void;
}

/**
 * Limits the concurrent requests to one version. Requests over the limit wait in a FIFO queue of limited length and
 * time. All share one timer, since the first in the queue is the first to expire.
 */
export class ConcurrencyLimiter {
  readonly #timers: Timers;
  #limits: LimitSpec;
  /** Whether any endpoint of the version can take another request. */
  #hasRoom: () => boolean;
  #inFlight = 0;
  /** With the time at which each expires; in order of arrival. */
  readonly #queue = new Map<Waiter, number>();
  #cancelTimer: (() => void) | undefined;
  #isServing = false;

  constructor(timers: Timers, limits: LimitSpec, hasRoom: () => boolean) {
    this.#timers = timers;
    this.#limits = limits;
    this.#hasRoom = hasRoom;
  }

  /** Applies changed limits. */
  configure(limits: LimitSpec, hasRoom: () => boolean): void {
    this.#limits = limits;
    this.#hasRoom = hasRoom;
    this.#serve();
  }

  /** After `acquired` call `release`; after `queued` the waiter is called, unless it calls `cancel` first. */
  acquire(waiter: Waiter): "acquired" | "queued" | "full" {
    if (this.tryAcquire()) return "acquired";
    const { maxPending, pendingTimeoutMs } = this.#limits;
    if (this.#queue.size >= maxPending) return "full";
    this.#queue.set(waiter, this.#timers.monotonicMs() + pendingTimeoutMs);
    this.#arm();
    return "queued";
  }

  /** Acquires a permit only if that requires no waiting. */
  tryAcquire(): boolean {
    // An endpoint may have become available without a notification. Queued requests go first.
    if (this.#queue.size > 0) this.#serve();
    if (this.#queue.size > 0 || !this.#isOpen()) return false;
    this.#inFlight++;
    return true;
  }

  release(): void {
    this.#inFlight--;
    this.#serve();
  }

  cancel(waiter: Waiter): void {
    this.#queue.delete(waiter);
    if (this.#queue.size === 0) this.#disarm();
  }

  #isOpen(): boolean {
    return this.#inFlight < this.#limits.maxInFlight && this.#hasRoom();
  }

  #serve(): void {
    // A waiter may release its permit at once; the running loop then admits the next one.
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      for (let first = this.#first(); first !== undefined && this.#isOpen(); first = this.#first()) {
        this.cancel(first);
        this.#inFlight++;
        first.admitted();
      }
    } finally {
      // A waiter that throws must not block all later ones.
      this.#isServing = false;
    }
  }

  #first(): Waiter | undefined {
    for (const waiter of this.#queue.keys()) return waiter;
    return undefined;
  }

  #arm(): void {
    if (this.#cancelTimer !== undefined) return;
    for (const dueMs of this.#queue.values()) {
      this.#cancelTimer = this.#timers.schedule(Math.max(1, dueMs - this.#timers.monotonicMs()), this.#onTimer);
      return;
    }
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  readonly #onTimer = (): void => {
    this.#cancelTimer = undefined;
    const nowMs = this.#timers.monotonicMs();
    for (const [waiter, dueMs] of this.#queue) {
      if (dueMs > nowMs) break;
      this.#queue.delete(waiter);
      waiter.expired();
    }
    // An endpoint may have become available without a notification.
    this.#serve();
    this.#arm();
  };
}
