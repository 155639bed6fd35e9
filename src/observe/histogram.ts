/** Upper bounds in seconds, inclusive as Prometheus reads them: from a loopback answer to a request that nearly timed out. */
export const bucketBounds = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const);

const bounds = Float64Array.from(bucketBounds);
const overflowSlot = bounds.length;
const sumSlot = bounds.length + 1;
const slotCount = bounds.length + 2;

/**
 * A histogram of durations over fixed buckets. All of it lives in one typed array, so that observing allocates nothing:
 * a sum kept in a field would be boxed anew whenever V8 cannot prove its type.
 */
export class Histogram {
  /** Made with the first value: of ten thousand routes most are idle, and each would hold half a kilobyte. */
  #slots: Float64Array | undefined;

  /** A value that no clock can give (negative, NaN, infinite) counts as zero: one such sum would spoil the series for good. */
  observe(seconds: number): void {
    const value = seconds >= 0 && seconds < Number.POSITIVE_INFINITY ? seconds : 0;
    let slot = 0;
    // The bounds are few and most answers are fast, so counting up is quicker than halving.
    while (slot < overflowSlot && value > (bounds[slot] ?? 0)) slot++;
    this.#slots ??= new Float64Array(slotCount);
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1;
    this.#slots[sumSlot] = (this.#slots[sumSlot] ?? 0) + value;
  }

  /** What was counted, as plain data that another histogram may take over; undefined where that is nothing. */
  counts(): readonly number[] | undefined {
    return this.#slots && Array.from(this.#slots);
  }

  /** Holds these counts and no others. */
  restore(counts: readonly number[] | undefined): void {
    this.#slots = counts && Float64Array.from(counts);
  }

  get sum(): number {
    return this.#slots?.[sumSlot] ?? 0;
  }

  get count(): number {
    return this.cumulative().at(-1) ?? 0;
  }

  /** How many values were at most each bound, in the order of `bucketBounds`; the last entry counts them all. */
  cumulative(): number[] {
    let total = 0;
    return Array.from({ length: sumSlot }, (_, slot) => {
      total += this.#slots?.[slot] ?? 0;
      return total;
    });
  }
}
