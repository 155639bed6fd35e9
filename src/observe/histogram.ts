import type { Exemplar, MetricStorage, Series } from "./metric-storage.ts";

/**
 * Upper bounds in seconds, inclusive as Prometheus reads them: from a loopback response to a request that nearly timed
 * out.
 */
export const bucketBounds = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const);

const bounds = Float64Array.from(bucketBounds);
const overflowSlot = bounds.length;
const sumSlot = bounds.length + 1;
/** With the one above all bounds. */
export const bucketCount: number = bounds.length + 1;
const slotCount = bounds.length + 2;

/** A histogram's state, as plain data. */
type HistogramCounts = {
  /** The count of each bucket, then the count above all bounds, then the sum of all values. */
  readonly slots: readonly number[];
  /** By bucket, from 0; undefined if none was recorded. */
  readonly exemplars: ReadonlyMap<number, Exemplar> | undefined;
};

/**
 * A histogram of durations over fixed buckets. All of it lives in one typed array, so that observing allocates nothing:
 * a sum kept in a field would be boxed anew whenever V8 cannot prove its type.
 */
export class Histogram implements MetricStorage {
  /** Allocated with the first value: most of ten thousand routes are idle, and each would hold half a kilobyte. */
  #slots: Float64Array | undefined;
  /** The latest exemplar of each bucket; allocated with the first. */
  #exemplars: Map<number, Exemplar> | undefined;

  /** A negative, NaN or infinite value counts as zero: it would corrupt the sum for good. */
  observe(seconds: number): void {
    const value = usable(seconds);
    const slot = slotOf(value);
    this.#slots ??= new Float64Array(slotCount);
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1;
    this.#slots[sumSlot] = (this.#slots[sumSlot] ?? 0) + value;
  }

  /** Sets the exemplar of a request that was just observed and whose trace is sampled. */
  exemplify(seconds: number, traceId: string, atMs: number): void {
    const value = usable(seconds);
    this.#exemplars ??= new Map();
    this.#exemplars.set(slotOf(value), { traceId, seconds: value, atMs });
  }

  /** The latest exemplar of a bucket, from 0. */
  exemplar(bucket: number): Exemplar | undefined {
    return this.#exemplars?.get(bucket);
  }

  *series(): Iterable<Series> {
    const cumulative = this.cumulative();
    for (const [bucket, value] of cumulative.entries()) {
      const bound = String(bucketBounds[bucket] ?? "+Inf");
      yield { suffix: "_bucket", labels: [bound], value, exemplar: this.exemplar(bucket) };
    }
    yield { suffix: "_sum", labels: [], value: this.sum };
    yield { suffix: "_count", labels: [], value: cumulative.at(-1) ?? 0 };
  }

  counts(): HistogramCounts | undefined {
    return this.#slots && { slots: Array.from(this.#slots), exemplars: this.#exemplars && new Map(this.#exemplars) };
  }

  restore(counts: HistogramCounts | undefined): void {
    this.#slots = counts && Float64Array.from(counts.slots);
    this.#exemplars = counts?.exemplars && new Map(counts.exemplars);
  }

  get sum(): number {
    return this.#slots?.[sumSlot] ?? 0;
  }

  get count(): number {
    return this.cumulative().at(-1) ?? 0;
  }

  get isEmpty(): boolean {
    return this.#slots === undefined;
  }

  /** Adds the count of each bucket, that above all bounds included, to the entries of `sums` from `at`. */
  addTo(sums: Float64Array, at: number): void {
    if (this.#slots === undefined) return;
    for (let slot = 0; slot < bucketCount; slot++) sums[at + slot] = (sums[at + slot] ?? 0) + (this.#slots[slot] ?? 0);
  }

  /** Cumulative counts in the order of `bucketBounds`; the last entry is the total. */
  cumulative(): number[] {
    let total = 0;
    return Array.from({ length: sumSlot }, (_, slot) => {
      total += this.#slots?.[slot] ?? 0;
      return total;
    });
  }
}

function usable(seconds: number): number {
  return seconds >= 0 && seconds < Number.POSITIVE_INFINITY ? seconds : 0;
}

function slotOf(value: number): number {
  let slot = 0;
  // There are few bounds and most responses are fast, so a linear search beats a binary one.
  while (slot < overflowSlot && value > (bounds[slot] ?? 0)) slot++;
  return slot;
}

/** A sampled trace. */
export interface SampledTrace {
  readonly traceId: string;
  /** The start of its request. */
  readonly startedAtMs: number;
}
