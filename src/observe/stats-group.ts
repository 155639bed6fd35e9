import { type Counts, countsByKey, type Exemplar, type MetricStorage } from "./metric-storage.ts";
import type { StatsCounts } from "./stats-transfer.ts";

/** One metric of the stats `S`. It is declared once, beside the field that counts it. */
export interface MetricDeclaration<S> {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Labels in addition to those of its group; the storage gives their values. */
  readonly labels?: readonly string[];
  /** `hidden`: no series while nothing is counted. Default `shown`. */
  readonly idle?: "shown" | "hidden";
  /** Undefined where these stats do not have the metric. */
  storage(stats: S): MetricStorage | undefined;
}

export interface StatsGroupDeclaration<S, A extends readonly unknown[]> {
  /** Labels of all its metrics. Their values are the first arguments of `make`, and tell the group's stats apart. */
  readonly labels: readonly string[];
  /** `before`: what the active snapshot has for the same label values; counts that the result shares with it continue. */
  make(before: S | undefined, ...args: A): S;
  /** `main-thread`: it alone counts, and workers send nothing. Default `workers`. */
  readonly countedBy?: "workers" | "main-thread";
  readonly metrics: readonly MetricDeclaration<S>[];
}

/** One line of the exposition; the keys of `labels` are the label names. */
export interface Sample {
  /** Where it is not the metric's own name: a histogram's `_bucket`, `_sum` and `_count`. */
  readonly metricName?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a histogram's bucket. Only OpenMetrics shows it. */
  readonly exemplar?: Exemplar | undefined;
}

/** A metric as the exporter reads it. */
export interface ExportedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Called at every scrape: what it no longer yields is no longer exported. */
  readonly samples: () => Iterable<Sample>;
}

/** Stats of one group by their key. */
export type StatsByKey<S> = ReadonlyMap<string, S>;

/** A class of stats with what it declares, from which exposition and transfer between threads follow. */
export class StatsGroup<S, A extends readonly unknown[] = []> {
  readonly #declared: StatsGroupDeclaration<S, A>;

  constructor(declared: StatsGroupDeclaration<S, A>) {
    this.#declared = declared;
  }

  /** Of the stats that `make` gives for these arguments. */
  keyOf(args: A): string {
    return args.slice(0, this.#declared.labels.length).join(keySeparator);
  }

  make(before: S | undefined, args: A): S {
    return this.#declared.make(before, ...args);
  }

  /** All of its metrics, with the series of what `active` gives at a scrape. */
  exported(active: () => StatsByKey<S>): readonly ExportedMetric[] {
    const { labels, metrics } = this.#declared;
    return metrics.map((metric) => ({
      name: metric.name,
      help: metric.help,
      type: metric.type,
      *samples() {
        for (const [key, stats] of active())
          yield* samplesOf(metric, withLabels({}, labels, key.split(keySeparator)), stats);
      },
    }));
  }

  /** What these stats counted. Most of a large configuration is idle, and left out. */
  counts(all: StatsByKey<S>): StatsCounts {
    const totals = new Map<string, ReadonlyMap<string, Counts>>();
    const gauges = new Map<string, ReadonlyMap<string, Counts>>();
    for (const metric of this.#transferred) {
      const counted = countsByKey(storagesOf(metric, all));
      if (counted !== undefined) (metric.type === "gauge" ? gauges : totals).set(metric.name, counted);
    }
    return { totals, gauges };
  }

  /** Sets these stats to the counts and no others. */
  restore(all: StatsByKey<S>, { totals, gauges }: StatsCounts): void {
    for (const metric of this.#transferred) {
      const counted = (metric.type === "gauge" ? gauges : totals).get(metric.name);
      for (const [key, storage] of storagesOf(metric, all)) storage.restore(counted?.get(key));
    }
  }

  get #transferred(): readonly MetricDeclaration<S>[] {
    const { countedBy, metrics } = this.#declared;
    return countedBy === "main-thread" ? [] : metrics;
  }
}

/** A newline cannot be part of a configured name, so keys of different names never meet. */
const keySeparator = "\n";

function* storagesOf<S>(metric: MetricDeclaration<S>, all: StatsByKey<S>): Iterable<readonly [string, MetricStorage]> {
  for (const [key, stats] of all) {
    const storage = metric.storage(stats);
    if (storage !== undefined) yield [key, storage];
  }
}

function* samplesOf<S>(metric: MetricDeclaration<S>, groupLabels: Sample["labels"], stats: S): Iterable<Sample> {
  const { name, type, labels = [], idle } = metric;
  const storage = metric.storage(stats);
  if (storage === undefined || (idle === "hidden" && storage.counts() === undefined)) return;
  const names = type === "histogram" ? [...labels, "le"] : labels;
  for (const { suffix, labels: values, value, exemplar } of storage.series()) {
    const metricName = suffix && name + suffix;
    yield { metricName, labels: withLabels(groupLabels, names, values), value, exemplar };
  }
}

/** Names without a value are left out: the sum of a histogram belongs to no bucket. */
function withLabels(labels: Sample["labels"], names: readonly string[], values: readonly string[]): Sample["labels"] {
  const all: Record<string, string> = { ...labels };
  for (let index = 0; index < values.length; index++) {
    const [name, value] = [names[index], values[index]];
    if (name !== undefined && value !== undefined) all[name] = value;
  }
  return all;
}
