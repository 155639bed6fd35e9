import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import type { ExportedMetric, Sample } from "./stats-group.ts";

export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** Prometheus' text format 0.0.4, or OpenMetrics 1.0.0, which has exemplars. */
export type MetricsFormat = "prometheus" | "open-metrics";

/** Writes metrics whose numbers are kept elsewhere, beside those of this process. */
export class PrometheusExporter {
  readonly #registry = new Registry();

  constructor(metrics: Iterable<ExportedMetric>) {
    for (const metric of metrics) register(this.#registry, metric);
    for (const metric of processMetrics()) this.#registry.registerMetric(metric);
  }

  async render(format: MetricsFormat): Promise<Exposition> {
    if (format === "open-metrics") {
      // prom-client declares the types as numbers, but holds strings.
      const families = (await this.#registry.getMetricsAsJSON()).map((family) => ({
        ...family,
        type: String(family.type),
      }));
      return { contentType: openMetricsType, body: writeOpenMetrics(families) };
    }
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

/**
 * prom-client's own classes keep numbers under hashed labels, and its histogram cannot be filled from outside; its
 * registry asks a metric for no more than this.
 */
function register(registry: Registry, { name, help, type, samples }: ExportedMetric): void {
  const metric = { name, help, type, get: async () => ({ name, help, type, values: Array.from(samples()) }) };
  // Its declarations accept its own classes only.
  registry.registerMetric(metric as unknown as Metric);
}

/** One metric with its numbers, as prom-client's registry returns it. */
interface MetricFamily {
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

const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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

/** OpenMetrics wants bounds as canonical floating-point numbers: an integer with a fraction. */
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

let ofProcess: readonly Metric[] | undefined;

/**
 * CPU, memory, event loop and garbage collection of this process, under prom-client's usual names. Made once: each set
 * would leave a timer and an observer of collections behind, which nothing can end.
 */
function processMetrics(): readonly Metric[] {
  if (ofProcess === undefined) {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    for (const name of misnamed) registry.removeSingleMetric(name);
    // As it was registered: a metric is more than the interface for reading it that is declared here.
    ofProcess = registry.getMetricsAsArray() as unknown as Metric[];
  }
  return ofProcess;
}
