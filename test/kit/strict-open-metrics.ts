/**
 * The rules of OpenMetrics 1.0.0 for an exposition of counters, gauges and histograms, read strictly: its ABNF line by
 * line, then the rules outside of the grammar. Returns every breach.
 */
export function openMetricsProblems(text: string): readonly string[] {
  const problems: string[] = [];
  const families = new Map<string, string>();
  const seen = new Set<string>();
  let family = "";
  if (!text.endsWith("\n# EOF\n")) problems.push("does not end in # EOF");
  for (const line of text
    .replace(/# EOF\n$/, "")
    .split("\n")
    .slice(0, -1)) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      family = type[1] ?? "";
      if (families.has(family)) problems.push(`family twice: ${line}`);
      families.set(family, type[2] ?? "");
      continue;
    }
    if (/^# HELP /.test(line)) {
      if (!new RegExp(`^# HELP ${family} (?:[^\\n"\\\\]|\\\\[n"\\\\])*$`).test(line)) problems.push(`help: ${line}`);
      continue;
    }
    const sample = sampleLine.exec(line);
    if (sample === null) {
      problems.push(`no sample: ${line}`);
      continue;
    }
    const [, name = "", labels = "", value = "", exemplar] = sample;
    if (seen.has(name + labels)) problems.push(`series twice: ${line}`);
    seen.add(name + labels);
    const kind = families.get(family);
    const suffix = name.startsWith(family) ? name.slice(family.length) : undefined;
    if (!suffixes(kind).includes(suffix ?? "?")) problems.push(`${name} in the ${kind} ${family}`);
    if (kind !== "gauge" && !(Number(value) >= 0)) problems.push(`a ${kind} below zero: ${line}`);
    const bound = /[{,]le="([^"]*)"/.exec(labels)?.[1];
    if (suffix === "_bucket" && !/^(?:\+Inf|\d+\.\d+)$/.test(bound ?? "")) problems.push(`bound: ${line}`);
    if (exemplar === undefined) continue;
    if (suffix !== "_bucket") problems.push(`exemplar: ${line}`);
    if ((/\{(.*)\}/.exec(exemplar)?.[1]?.replace(/[={},"]/g, "").length ?? 0) > 128) problems.push(`long: ${line}`);
  }
  return problems;
}

const number = String.raw`(?:[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?|[+-]?inf|nan)`;
const label = String.raw`[a-zA-Z_]\w*="(?:[^\n"\\]|\\[n"\\])*"`;
const labelSet = String.raw`\{(?:${label}(?:,${label})*)?\}`;
const sampleLine = new RegExp(
  String.raw`^([a-zA-Z_:][\w:]*)(${labelSet})? (${number})( # ${labelSet} ${number}(?: \d+(?:\.\d+)?)?)?$`,
  "i",
);

function suffixes(kind: string | undefined): readonly string[] {
  if (kind === "counter") return ["_total"];
  return kind === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
}
