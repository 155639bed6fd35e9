import type { Clock } from "../upstream/clock.ts";

/** How often events look at the wall clock; between, it is told from the monotonic one, which is cheaper to ask. */
const wallEveryMs = 20;

/**
 * The time, which stands still while an event is handled: that takes microseconds, and ten looks at the clock would be a
 * fiftieth of what a request costs.
 */
export class CachedClock implements Clock {
  readonly #clock: Clock;
  #frozen = false;
  #monotonicMs = 0;
  #wallMs = 0;
  /** By the monotonic clock, when the wall clock was looked at. */
  #wallReadAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly nowMs = (): number => {
    if (!this.#frozen) return this.#clock.nowMs();
    const passedMs = this.#monotonicMs - this.#wallReadAtMs;
    if (passedMs < wallEveryMs) return Math.floor(this.#wallMs + passedMs);
    this.#wallReadAtMs = this.#monotonicMs;
    this.#wallMs = this.#clock.nowMs();
    return this.#wallMs;
  };

  readonly monotonicMs = (): number => (this.#frozen ? this.#monotonicMs : this.#clock.monotonicMs());

  /** An event begins; whoever says so says when it is over. */
  freeze(): void {
    this.#monotonicMs = this.#clock.monotonicMs();
    this.#frozen = true;
  }

  unfreeze(): void {
    this.#frozen = false;
  }
}
