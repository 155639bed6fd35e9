/** The values of an exposition by series. */
export type Series = ReadonlyMap<string, number>;

export function readSeries(exposition: string): Series {
  const series = new Map<string, number>();
  for (const line of exposition.split("\n")) {
    const end = line.lastIndexOf(" ");
    if (line.startsWith("perch_") && end > 0) series.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return series;
}

/** Series of times, of the lane itself, and of the fences. */
const left = /_seconds_(?:bucket|sum)\b|_timestamp_seconds|^perch_build_info|^perch_fast_lane|="fence"/;

/** The changes between two expositions, as lines, without times. */
export function change(before: Series, after: Series): string[] {
  const lines: string[] = [];
  for (const [name, value] of after) {
    const difference = value - (before.get(name) ?? 0);
    if (difference !== 0 && !left.test(name)) lines.push(`${name} ${difference > 0 ? "+" : ""}${difference}`);
  }
  return lines.sort();
}

/** The number of connections that the fast lane has handed over, for any cause. */
export function handOvers(series: Series): number {
  let sum = 0;
  for (const [name, value] of series) if (name.startsWith("perch_fast_lane_handovers_total")) sum += value;
  return sum;
}
