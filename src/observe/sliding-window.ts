import type { MetricStorage, Series, WindowSlot } from "./metric-storage.ts";

/** The window moves in steps of this length, so a total reaches back between `span - slotMs` and `span`. */
export const slotMs = 10_000;
const slotCount = 30;

/**
 * Counts events of the last minutes in a ring of slots. Time comes only from the arguments, so there is no timer to
 * stop and nothing to do while nothing happens; a slot is emptied when its place in the ring is needed again.
 */
export class SlidingWindow implements MetricStorage {
  readonly #counts = new Float64Array(slotCount);
  /** Which slot of all time each place holds; the counts of any other slot are stale. */
  readonly #slots = new Float64Array(slotCount).fill(-1);

  /** `nowMs` is any clock in milliseconds from 0 up; where it is set back, what was counted after that is forgotten. */
  count(nowMs: number): void {
    const slot = Math.floor(nowMs / slotMs);
    const place = slot % slotCount;
    if (slot !== this.#slots[place]) {
      this.#slots[place] = slot;
      this.#counts[place] = 0;
    }
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
  }

  /** Events of the last `spanMs`, at most five minutes; both are read in whole slots, the current one included. */
  total(spanMs: number, nowMs: number): number {
    const newest = Math.floor(nowMs / slotMs);
    const oldest = newest - Math.min(slotCount, Math.ceil(spanMs / slotMs)) + 1;
    let total = 0;
    for (let place = 0; place < slotCount; place++) {
      const slot = this.#slots[place] ?? -1;
      if (slot >= oldest && slot <= newest) total += this.#counts[place] ?? 0;
    }
    return total;
  }

  /** None: the exposition has counters, from which Prometheus derives rates over any span. */
  series(): Iterable<Series> {
    return [];
  }

  /** By place in the ring, so that sums of any number of windows hold no more slots than one. */
  counts(): ReadonlyMap<number, WindowSlot> | undefined {
    const held = new Map<number, WindowSlot>();
    for (const [place, slot] of this.#slots.entries()) {
      if (slot >= 0) held.set(place, { slot, count: this.#counts[place] ?? 0 });
    }
    return held.size === 0 ? undefined : held;
  }

  restore(counts: ReadonlyMap<number, WindowSlot> | undefined): void {
    this.#slots.fill(-1);
    for (const [place, { slot, count }] of counts ?? []) {
      this.#slots[place] = slot;
      this.#counts[place] = count;
    }
  }
}
