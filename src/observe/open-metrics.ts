import type { Sample } from "./cell-metric.ts";

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
