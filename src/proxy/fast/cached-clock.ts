import type { Clock } from "../../upstream/clock.ts";

/** How often the wall clock is read. In between, it is derived from the monotonic clock, which is cheaper to read. */
const wallEveryMs = 20;

/**
 * A clock that is frozen while one event is handled. Handling takes microseconds, and ten clock reads would be 2 % of
 * the cost of a request.
 */
export class CachedClock implements Clock {
  readonly #clock: Clock;
  #frozen = false;
  #monotonicMs = 0;
  #wallMs = 0;
  /** Monotonic time of the last read of the wall clock. */
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

  /** Call at the start of an event; `unfreeze` must follow at its end. */
  freeze(): void {
    this.#monotonicMs = this.#clock.monotonicMs();
    this.#frozen = true;
  }

  unfreeze(): void {
    this.#frozen = false;
  }
}
