/** Where a metric of one stats object keeps its numbers: a counter, a table of counters, a histogram. */
export interface MetricStorage {
  /** What the exposition shows now. */
  series(): Iterable<Series>;
  /** The same as plain data, which may be sent to another thread; undefined while nothing is counted. */
  counts(): Counts | undefined;
  /** Replaces what is held. The counts are those of the same metric; without any, nothing is counted. */
  restore(counts: Counts | undefined): void;
}

/** One number of the exposition. */
export interface Series {
  /** Values of the labels that the metric declares, in that order; of a histogram's bucket, its upper bound. */
  readonly labels: readonly string[];
  readonly value: number;
  /** Appended to the metric's name; of a histogram only. */
  readonly suffix?: "_bucket" | "_sum" | "_count";
  readonly exemplar?: Exemplar | undefined;
}

/** What a storage counted. `stats-transfer.ts` adds up those of several workers. */
export type Counts =
  | number
  | readonly number[]
  | Exemplar
  | WindowSlot
  | CountsByKey
  /** A storage of several parts. */
  | { readonly [part: string]: Counts | undefined };

export interface CountsByKey extends ReadonlyMap<string | number, Counts> {}

/** One measured request whose trace was recorded, to which a dashboard links. */
export type Exemplar = {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  readonly seconds: number;
  /** When it was measured. */
  readonly atMs: number;
};

/** A slot of a sliding window; slots are numbered from the clock's 0. */
export type WindowSlot = { readonly slot: number; readonly count: number };

/** What these storages counted, by their keys; undefined where none counted anything. */
export function countsByKey<K extends string | number, C extends Counts>(
  storages: Iterable<readonly [K, Counted<C>]>,
): ReadonlyMap<K, C> | undefined {
  const found = new Map<K, C>();
  for (const [key, storage] of storages) {
    const counts = storage.counts();
    if (counts !== undefined) found.set(key, counts);
  }
  return found.size === 0 ? undefined : found;
}

interface Counted<C> {
  counts(): C | undefined;
}
