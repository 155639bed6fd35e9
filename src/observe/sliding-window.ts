import type { MetricStorage, Series, WindowSlot } from "./metric-storage.ts";

/** The window moves in steps of this length, so a total reaches back between `span - slotMs` and `span`. */
export const slotMs = 10_000;
const slotCount = 30;

/**
 * Counts events of the last minutes in a ring of slots. Time comes only from the arguments, so there is no timer; a
 * slot is cleared when it is reused.
 */
export class SlidingWindow implements MetricStorage {
  readonly #counts = new Float64Array(slotCount);
  /** The absolute slot number in each ring position; a mismatch means stale counts. */
  readonly #slots = new Float64Array(slotCount).fill(-1);

  /** `nowMs` is any clock in milliseconds from 0 up; if it is set back, counts from later times are ignored. */
  count(nowMs: number, amount = 1): void {
    const slot = Math.floor(nowMs / slotMs);
    const index = slot % slotCount;
    if (slot !== this.#slots[index]) {
      this.#slots[index] = slot;
      this.#counts[index] = 0;
    }
    this.#counts[index] = (this.#counts[index] ?? 0) + amount;
  }

  /** Events of the last `spanMs`, at most five minutes; both are read in whole slots, the current one included. */
  total(spanMs: number, nowMs: number): number {
    const newest = Math.floor(nowMs / slotMs);
    const oldest = newest - Math.min(slotCount, Math.ceil(spanMs / slotMs)) + 1;
    let total = 0;
    for (let index = 0; index < slotCount; index++) {
      const slot = this.#slots[index] ?? -1;
      if (slot >= oldest && slot <= newest) total += this.#counts[index] ?? 0;
    }
    return total;
  }

  /** None: Prometheus derives rates from the exported counters. */
  series(): Iterable<Series> {
    return [];
  }

  /** By ring position, so that the sum of many windows has no more slots than one. */
  counts(): ReadonlyMap<number, WindowSlot> | undefined {
    const held = new Map<number, WindowSlot>();
    for (const [index, slot] of this.#slots.entries()) {
      if (slot >= 0) held.set(index, { slot, count: this.#counts[index] ?? 0 });
    }
    return held.size === 0 ? undefined : held;
  }

  restore(counts: ReadonlyMap<number, WindowSlot> | undefined): void {
    this.#slots.fill(-1);
    for (const [index, { slot, count }] of counts ?? []) {
      this.#slots[index] = slot;
      this.#counts[index] = count;
    }
  }
}
