/** The window moves in steps of this length, so a total reaches back between `span - slotMs` and `span`. */
export const slotMs = 10_000;
const slotCount = 30;

/** Of what several windows counted, the slots that one window could hold. */
export function recentSlots(counts: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  const newest = Math.max(...counts.keys());
  return new Map(Array.from(counts).filter(([slot]) => slot > newest - slotCount));
}

/**
 * Counts events of the last minutes in a ring of slots. Time comes only from the arguments, so there is no timer to
 * stop and nothing to do while nothing happens; a slot is emptied when its place in the ring is needed again.
 */
export class SlidingWindow {
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

  /** What was counted, by slot of all time. */
  counts(): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const [place, slot] of this.#slots.entries()) if (slot >= 0) counts.set(slot, this.#counts[place] ?? 0);
    return counts;
  }

  /** Holds these counts and no others; of two slots in one place of the ring, the later. */
  restore(counts: ReadonlyMap<number, number> | undefined): void {
    this.#slots.fill(-1);
    for (const [slot, count] of counts ?? []) {
      const place = slot % slotCount;
      if (slot < (this.#slots[place] ?? -1)) continue;
      this.#slots[place] = slot;
      this.#counts[place] = count;
    }
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
}
