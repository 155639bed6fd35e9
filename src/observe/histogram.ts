import type { Exemplar, MetricStorage, Series } from "./metric-storage.ts";

/** Upper bounds in seconds, inclusive as Prometheus reads them: from a loopback answer to a request that nearly timed out. */
export const bucketBounds = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const);

const bounds = Float64Array.from(bucketBounds);
const overflowSlot = bounds.length;
const sumSlot = bounds.length + 1;
const slotCount = bounds.length + 2;

/** What a histogram counted, as plain data. */
type HistogramCounts = {
  /** Of each bucket; then those above every bound, and the sum of all values. */
  readonly slots: readonly number[];
  /** By bucket, from 0; undefined where none was ever recorded. */
  readonly exemplars: ReadonlyMap<number, Exemplar> | undefined;
};

/**
 * A histogram of durations over fixed buckets. All of it lives in one typed array, so that observing allocates nothing:
 * a sum kept in a field would be boxed anew whenever V8 cannot prove its type.
 */
export class Histogram implements MetricStorage {
  /** Made with the first value: of ten thousand routes most are idle, and each would hold half a kilobyte. */
  #slots: Float64Array | undefined;
  /** The latest recorded request of each bucket; made with the first. */
  #exemplars: Map<number, Exemplar> | undefined;

  /** A value that no clock can give (negative, NaN, infinite) counts as zero: one such sum would spoil the series for good. */
  observe(seconds: number): void {
    const value = usable(seconds);
    const slot = slotOf(value);
    this.#slots ??= new Float64Array(slotCount);
    this.#slots[slot] = (this.#slots[slot] ?? 0) + 1;
    this.#slots[sumSlot] = (this.#slots[sumSlot] ?? 0) + value;
  }

  /** The request that was just observed is one whose trace is recorded. */
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

  /** How many values were at most each bound, in the order of `bucketBounds`; the last entry counts them all. */
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
  // The bounds are few and most answers are fast, so counting up is quicker than halving.
  while (slot < overflowSlot && value > (bounds[slot] ?? 0)) slot++;
  return slot;
}

/** A trace that is recorded. */
export interface SampledTrace {
  readonly traceId: string;
  /** When its request began. */
  readonly startedAtMs: number;
}
