import { type Counts, countsByKey, type MetricStorage, type Series } from "./metric-storage.ts";

/** The value of a label whose text is not one of those we know. */
export const other = "other";

const noLabels: readonly string[] = [];

/** A plain number. The hot path changes `value` itself. */
export class Counter implements MetricStorage {
  value = 0;

  *series(): Iterable<Series> {
    yield { labels: noLabels, value: this.value };
  }

  counts(): number | undefined {
    return this.value === 0 ? undefined : this.value;
  }

  restore(counts: number | undefined): void {
    this.value = counts ?? 0;
  }
}

/**
 * A number that may have a fraction. It has a separate class: one fraction in a `Counter` would make V8 keep every
 * counter as a double.
 */
export class FractionalGauge extends Counter {}

/** A counter for each of a closed list of label values, all there from the start, so that alerts find them at 0. */
export class LabelCounters<L extends string> implements MetricStorage {
  readonly by: Readonly<Record<L, Counter>>;

  /** `before`: counters of the same label, which continue if their value is still in the list. */
  constructor(values: readonly L[], before?: LabelCounters<L>) {
    this.by = Object.fromEntries(values.map((value) => [value, before?.by[value] ?? new Counter()])) as Record<
      L,
      Counter
    >;
  }

  count(value: L): void {
    this.by[value].value++;
  }

  *series(): Iterable<Series> {
    for (const [label, { value }] of Object.entries<Counter>(this.by)) yield { labels: [label], value };
  }

  counts(): ReadonlyMap<string, number> | undefined {
    return countsByKey(Object.entries<Counter>(this.by));
  }

  restore(counts: ReadonlyMap<string, number> | undefined): void {
    for (const [label, counter] of Object.entries<Counter>(this.by)) counter.restore(counts?.get(label));
  }
}

/** A storage for each of the names that a configuration gives; the name is the first label of its series. */
export class StorageByName<S extends MetricStorage> extends Map<string, S> implements MetricStorage {
  *series(): Iterable<Series> {
    for (const [name, storage] of this) {
      for (const series of storage.series()) yield { ...series, labels: [name, ...series.labels] };
    }
  }

  counts(): ReadonlyMap<string, Counts> | undefined {
    return countsByKey(this);
  }

  /** Counts of names that the configuration no longer has are dropped. */
  restore(counts: ReadonlyMap<string, Counts> | undefined): void {
    for (const [name, storage] of this) storage.restore(counts?.get(name));
  }
}

/** Stands where there is no last counter yet; no key leads to it. */
const neverCounted = new Counter();

/**
 * Counters that are made when their key is first counted. The caller bounds the keys, or clients could make series at
 * will.
 */
export class SparseCounters implements MetricStorage {
  readonly #labelsOf: (key: number) => readonly string[];
  /** Made with the first count: most routes of a large configuration are idle. */
  #counters: Map<number, Counter> | undefined;
  // Most requests of a route end like the one before, so the last counter answers without a look-up.
  #lastKey = -1;
  #last = neverCounted;

  /** Keys are integers from 0. */
  constructor(labelsOf: (key: number) => readonly string[]) {
    this.#labelsOf = labelsOf;
  }

  count(key: number): void {
    if (key !== this.#lastKey) {
      this.#lastKey = key;
      this.#last = this.#counter(key);
    }
    this.#last.value++;
  }

  *series(): Iterable<Series> {
    for (const [key, { value }] of this.#counters ?? []) yield { labels: this.#labelsOf(key), value };
  }

  counts(): ReadonlyMap<number, number> | undefined {
    return countsByKey(this.#counters ?? []);
  }

  restore(counts: ReadonlyMap<number, number> | undefined): void {
    this.#counters = undefined;
    this.#lastKey = -1;
    for (const [key, value] of counts ?? []) this.#counter(key).restore(value);
  }

  #counter(key: number): Counter {
    this.#counters ??= new Map();
    const counter = this.#counters.get(key) ?? new Counter();
    this.#counters.set(key, counter);
    return counter;
  }
}
