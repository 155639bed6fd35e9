/** Weights in percent, as the sliders have them. */
export type Percentages = Readonly<Record<string, number>>;

/** The weights in force as percentages with two digits. Their sum may miss 100 by the rounding, as weights may. */
export function percentagesOf(
  versions: readonly { readonly version: string; readonly configuredShare: number | null }[],
): Percentages {
  return Object.fromEntries(
    versions.map(({ version, configuredShare }) => [version, hundredths(100 * (configuredShare ?? 0))]),
  );
}

/** With two versions the other one takes the rest, so that the sum stays 100. */
export function withWeight(weights: Percentages, version: string, value: number): Percentages {
  const weight = hundredths(Math.min(100, Math.max(0, value)));
  const others = Object.keys(weights).filter((name) => name !== version);
  const [other] = others;
  if (others.length === 1 && other !== undefined)
    return { ...weights, [version]: weight, [other]: hundredths(100 - weight) };
  return { ...weights, [version]: weight };
}

/** The share that each weight gives, 0 to 1; undefined if all weights are zero. */
export function sharesOf(weights: Percentages): Percentages | undefined {
  const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
  if (sum <= 0) return undefined;
  return Object.fromEntries(Object.entries(weights).map(([version, weight]) => [version, weight / sum]));
}

/** As the preview's query wants it: `stable:90,canary:10`. */
export function splitText(weights: Percentages): string {
  return Object.entries(weights)
    .map(([version, weight]) => `${version}:${weight}`)
    .join(",");
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
