/** Why this split cannot be used, as a sentence; undefined if it can. */
export function splitProblem(
  versions: readonly string[],
  split: Readonly<Record<string, number>>,
  forMs: number | undefined,
): string | undefined {
  const unknown = Object.keys(split).find((version) => !versions.includes(version));
  if (unknown !== undefined) return `there is no version ${unknown}; the release has ${versions.join(", ")}`;
  const weights = Object.values(split);
  if (weights.some((weight) => !Number.isFinite(weight) || weight < 0)) return "a weight is a number from 0 up";
  if (weights.every((weight) => weight === 0)) return "at least one weight must be above 0";
  if (forMs !== undefined && !(forMs > 0)) return "the time must be above 0";
  return undefined;
}
