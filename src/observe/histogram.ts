/** Upper bounds in seconds, inclusive as Prometheus reads them: from a loopback answer to a request that nearly timed out. */
export const bucketBounds = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const);

const bounds = Float64Array.from(bucketBounds);
const overflowSlot = bounds.length;
const sumSlot = bounds.length + 1;

/**
 * A histogram of durations over fixed buckets. All of it lives in one typed array, so that observing allocates nothing:
 * a sum kept in a field would be boxed anew whenever V8 cannot prove its type.
 */
export class Histogram {
  readonly #slots = new Float64Array(bounds.length + 2);

  /** A value that no clock can give (negative, NaN, infinite) counts as zero: one such sum would spoil the series for good. */
  observe(seconds: number): void {
    const value = seconds >= 0 && seconds < Number.POSITIVE_INFINITY ? seconds : 0;
    let slot = 0;
    // The bounds are few and most answers are fast, so counting up is quicker than halving.
    while (slot < overflowSlot && value > (bounds[slot] ?? 0)) slot++;
    this.#add(slot, 1);
    this.#add(sumSlot, value);
  }

  get sum(): number {
    return this.#slots[sumSlot] ?? 0;
  }

  get count(): number {
    return this.cumulative().at(-1) ?? 0;
  }

  /** How many values were at most each bound, in the order of `bucketBounds`; the last entry counts them all. */
  cumulative(): number[] {
    let total = 0;
    return Array.from(this.#slots.subarray(0, sumSlot), (inBucket) => {
      total += inBucket;
      return total;
    });
  }

  #add(slot: number, amount: number): void {
    this.#slots[slot] = (this.#slots[slot] ?? 0) + amount;
  }
}
