import { performance } from "node:perf_hooks";

/** What the system says. */
export interface Clocks {
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number;
}

// Imported, since the global `performance` is a getter, which costs more than the clock behind it.
const systemClocks: Clocks = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

/**
 * The time, which stands still while an event is handled: that takes microseconds, and ten looks at the clock would be a
 * fiftieth of what a request costs.
 */
export class EventClock implements Clocks {
  readonly #clocks: Clocks;
  #standsStill = false;
  #monotonicMs = 0;
  /** Negative while nobody asked in this event. */
  #nowMs = -1;

  constructor(clocks: Clocks = systemClocks) {
    this.#clocks = clocks;
  }

  readonly nowMs = (): number => {
    if (!this.#standsStill) return this.#clocks.nowMs();
    if (this.#nowMs < 0) this.#nowMs = this.#clocks.nowMs();
    return this.#nowMs;
  };

  readonly monotonicMs = (): number => (this.#standsStill ? this.#monotonicMs : this.#clocks.monotonicMs());

  /** An event begins; whoever says so says when it is over. */
  stop(): void {
    this.#monotonicMs = this.#clocks.monotonicMs();
    this.#nowMs = -1;
    this.#standsStill = true;
  }

  goOn(): void {
    this.#standsStill = false;
  }
}
