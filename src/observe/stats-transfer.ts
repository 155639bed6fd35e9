import type { Counts, CountsByKey, Exemplar, WindowSlot } from "./metric-storage.ts";

/** What stats counted, by metric and then by the stats' key: plain data that may be sent to another thread. */
export interface StatsCounts {
  /** Counters and histograms. */
  readonly totals: MetricCounts;
  /** What is so at the moment, such as requests in flight. */
  readonly gauges: MetricCounts;
}

type MetricCounts = ReadonlyMap<string, ReadonlyMap<string, Counts>>;

export const noCounts: StatsCounts = Object.freeze({ totals: new Map(), gauges: new Map() });

/** What several workers counted together. */
export function sumCounts(all: readonly StatsCounts[]): StatsCounts {
  return all.reduce<StatsCounts>(
    (sum, { totals, gauges }) => ({ totals: sumOfMaps(sum.totals, totals), gauges: sumOfMaps(sum.gauges, gauges) }),
    noCounts,
  );
}

/** What is kept of a worker that ended: it has nothing in flight any more. */
export function pastCounts({ totals }: StatsCounts): StatsCounts {
  return { totals, gauges: noCounts.gauges };
}

/**
 * Adds number to number, whatever they are nested in. Counts of one metric have the same structure in every worker, so
 * `b` is of the kind that `a` is.
 */
function sumOf(a: Counts | undefined, b: Counts | undefined): Counts | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (typeof a === "number") return a + (b as number);
  if (Array.isArray(a)) return a.map((value: number, index) => value + ((b as readonly number[])[index] ?? 0));
  if (a instanceof Map) return sumOfMaps(a as CountsByKey, b as CountsByKey);
  if (isExemplar(a)) return a.atMs > (b as Exemplar).atMs ? a : b;
  if (isWindowSlot(a)) return sumOfSlots(a, b as WindowSlot);
  const [left, right] = [a, b] as Readonly<Record<string, Counts>>[];
  return Object.fromEntries(sumOfMaps(new Map(Object.entries(left ?? {})), new Map(Object.entries(right ?? {}))));
}

function isExemplar(counts: object): counts is Exemplar {
  return "traceId" in counts;
}

function isWindowSlot(counts: object): counts is WindowSlot {
  return "slot" in counts;
}

/** Both are for one place in the ring, which holds the later slot. */
function sumOfSlots(a: WindowSlot, b: WindowSlot): WindowSlot {
  if (a.slot === b.slot) return { slot: a.slot, count: a.count + b.count };
  return a.slot > b.slot ? a : b;
}

function sumOfMaps<K, C extends Counts>(a: ReadonlyMap<K, C>, b: ReadonlyMap<K, C>): ReadonlyMap<K, C> {
  const sum = new Map(a);
  for (const [key, value] of b) {
    sum.set(key, sumOf(sum.get(key), value) as C);
  }
  return sum;
}
