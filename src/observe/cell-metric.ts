import type { Metric, Registry } from "prom-client";
import type { Exemplar } from "./exemplar.ts";
import { bucketBounds, type Histogram } from "./histogram.ts";

type Labels = Readonly<Record<string, string>>;

/** One line of the exposition; the keys of `labels` are the label names. */
export interface Sample {
  /** Where it is not the metric's own name: a histogram's `_bucket`, `_sum` and `_count`. */
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
  /** Of a histogram's bucket. Only OpenMetrics shows it. */
  readonly exemplar?: Exemplar | undefined;
}

export interface CellMetricOptions {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Read anew at every scrape, so what is no longer yielded is no longer exported. */
  readonly samples: () => Iterable<Sample>;
}

/**
 * Registers a metric whose numbers live in our cells. prom-client's own classes keep theirs under hashed labels, and
 * its histogram can not be filled from outside; its registry asks a metric for no more than this.
 */
export function registerCellMetric(registry: Registry, options: CellMetricOptions): void {
  const { name, help, type, samples } = options;
  const metric = { name, help, type, get: async () => ({ name, help, type, values: Array.from(samples()) }) };
  // Its declarations know only its own classes.
  registry.registerMetric(metric as unknown as Metric);
}

/** The lines of one histogram of the metric `name`. */
export function* histogramSamples(name: string, labels: Labels, histogram: Histogram): Iterable<Sample> {
  const cumulative = histogram.cumulative();
  for (const [index, value] of cumulative.entries()) {
    const le = String(bucketBounds[index] ?? "+Inf");
    yield { metricName: `${name}_bucket`, labels: { ...labels, le }, value, exemplar: histogram.exemplar(index) };
  }
  yield { metricName: `${name}_sum`, labels, value: histogram.sum };
  yield { metricName: `${name}_count`, labels, value: cumulative.at(-1) ?? 0 };
}

/** One sample for each cell, its key as the value of the label `name`. */
export function* byLabel(
  labels: Readonly<Record<string, string>>,
  name: string,
  cells: Readonly<Record<string, { readonly value: number }>>,
): Iterable<Sample> {
  for (const [label, { value }] of Object.entries(cells)) yield { labels: { ...labels, [name]: label }, value };
}
