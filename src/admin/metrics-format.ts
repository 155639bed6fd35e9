import type { MetricsFormat } from "../observe/metrics.ts";

const openMetrics = "application/openmetrics-text";
/** By what a scraper says that takes anything, Prometheus' own text is meant. */
const plainTypes: ReadonlySet<string> = new Set(["text/plain", "text/*", "*/*"]);

/**
 * What a scraper's Accept asks for (RFC 9110 §12.5.1): OpenMetrics where it is named and not liked less than the text
 * format. A browser and curl name neither, and get the text.
 */
export function metricsFormat(accept: string | undefined): MetricsFormat {
  let [open, plain] = [0, 0];
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (type === openMetrics && isKnown(parameters)) open = Math.max(open, quality(parameters));
    if (plainTypes.has(type)) plain = Math.max(plain, quality(parameters));
  }
  return open > 0 && open >= plain ? "open-metrics" : "prometheus";
}

/** 0.0.1 was the draft of 1.0.0. */
function isKnown(parameters: readonly string[]): boolean {
  const version = parameters.find((parameter) => parameter.startsWith("version="));
  return version === undefined || /^version="?(?:0\.0\.1|1\.0\.0)"?$/.test(version);
}

function quality(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith("q="));
  const value = given === undefined ? 1 : Number(given.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
