import { collectDefaultMetrics, type Metric, type Registry } from "prom-client";
import { bucketBounds, type Exemplar, type Histogram } from "./histogram.ts";

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
 * Registers a metric whose numbers live in our stats. prom-client's own classes keep theirs under hashed labels, and
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

/** One sample for each counter, its key as the value of the label `name`. */
export function* byLabel(
  labels: Readonly<Record<string, string>>,
  name: string,
  stats: Readonly<Record<string, { readonly value: number }>>,
): Iterable<Sample> {
  for (const [label, { value }] of Object.entries(stats)) yield { labels: { ...labels, [name]: label }, value };
}

/** One metric with its numbers, as prom-client's registry gives them out too. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  /** `counter`, `gauge` or `histogram`. */
  readonly type: string;
  readonly values: Iterable<FamilySample>;
}

type FamilySample = Omit<Sample, "labels" | "exemplar"> & {
  readonly labels: Readonly<Record<string, string | number | undefined>>;
  /** prom-client's own histograms have null. */
  readonly exemplar?: Sample["exemplar"] | null;
};

export const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/**
 * The exposition in OpenMetrics 1.0.0. prom-client has a writer for it, which renames the registered metrics for good,
 * does not escape quotes in help texts, and lets bounds be integers; so one registry could not serve both formats.
 */
export function writeOpenMetrics(families: Iterable<MetricFamily>): string {
  return `${Array.from(families, familyText).join("")}# EOF\n`;
}

function familyText({ name, help, type, values }: MetricFamily): string {
  // A counter is the family of its `_total`.
  const family = type === "counter" ? name.replace(/_total$/, "") : name;
  const ownName = type === "counter" ? `${family}_total` : family;
  const lines = Array.from(values, (sample) => sampleLine(sample.metricName ?? ownName, sample));
  return `# TYPE ${family} ${type}\n# HELP ${family} ${escaped(help)}\n${lines.join("")}`;
}

function sampleLine(name: string, { labels, value, exemplar }: FamilySample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${labelText(label, text)}"`);
  const shown = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${name}${shown} ${numberText(value)}${exemplarText(exemplar)}\n`;
}

/** Bounds are numbers in their canonical form, in which an integer has a fraction. */
function labelText(label: string, text: string | number | undefined): string {
  const plain = escaped(String(text ?? ""));
  return label === "le" && /^-?\d+$/.test(plain) ? `${plain}.0` : plain;
}

function exemplarText(exemplar: FamilySample["exemplar"]): string {
  if (!exemplar) return "";
  return ` # {trace_id="${exemplar.traceId}"} ${numberText(exemplar.seconds)} ${(exemplar.atMs / 1000).toFixed(3)}`;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function escaped(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
}

/**
 * Gauges of prom-client whose names end in `_total`, which Prometheus keeps for counters: `promtool check metrics`
 * fails on them. Their per-type counterparts stay.
 */
const misnamed = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

/** CPU, memory, event loop and garbage collection of this process, as prom-client's users know them. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
}
