import type { Clock } from "./clock.ts";
import type { LimitSpec } from "./service-spec.ts";

/** A request that waits for a place. One of the two is called, once, unless it left before. */
export interface Waiter {
  admitted(): void;
  /** It waited for as long as it may. */
  expired(): void;
}

/**
 * Lets so many requests at a time through to one version. Those beyond wait in line, so many and so long; whoever comes
 * later does not overtake them. All share one timer, for the first in line is the first whose time is up.
 */
export class ConcurrencyLimiter {
  readonly #clock: Clock;
  #limits: LimitSpec;
  /** Whether any endpoint of the version could take one more now. */
  #hasRoom: () => boolean;
  #inFlight = 0;
  /** With the time until which each waits; in the order of coming. */
  readonly #queue = new Map<Waiter, number>();
  #cancelTimer: (() => void) | undefined;
  #isServing = false;

  constructor(clock: Clock, limits: LimitSpec, hasRoom: () => boolean) {
    this.#clock = clock;
    this.#limits = limits;
    this.#hasRoom = hasRoom;
  }

  /** A reload changed what holds. */
  configure(limits: LimitSpec, hasRoom: () => boolean): void {
    this.#limits = limits;
    this.#hasRoom = hasRoom;
    this.#serve();
  }

  /** Whoever entered has to leave; whoever waits is told, or cancels. */
  acquire(waiter: Waiter): "acquired" | "queued" | "full" {
    if (this.tryAcquire()) return "acquired";
    const { maxPending, pendingTimeoutMs } = this.#limits;
    if (this.#queue.size >= maxPending) return "full";
    this.#queue.set(waiter, this.#clock.monotonicMs() + pendingTimeoutMs);
    this.#arm();
    return "queued";
  }

  /** Enters where that takes no waiting. */
  tryAcquire(): boolean {
    // An endpoint that came back has told nobody: whoever waits goes first.
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
    // Whoever is admitted may be done at once and leave: the loop that is under way sees to it.
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      for (let first = this.#first(); first !== undefined && this.#isOpen(); first = this.#first()) {
        this.cancel(first);
        this.#inFlight++;
        first.admitted();
      }
    } finally {
      // One request's defect must not shut the limiter on all that come after it.
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
      this.#cancelTimer = this.#clock.wake(this.#onTimer, Math.max(1, dueMs - this.#clock.monotonicMs()));
      return;
    }
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  readonly #onTimer = (): void => {
    this.#cancelTimer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [waiter, dueMs] of this.#queue) {
      if (dueMs > nowMs) break;
      this.#queue.delete(waiter);
      waiter.expired();
    }
    // An endpoint that came back since has told nobody.
    this.#serve();
    this.#arm();
  };
}
