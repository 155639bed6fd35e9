import type { ReleaseSpec } from "../decide/release.ts";

export interface WeightRatio {
  readonly release: string;
  readonly version: string;
  /** The share that the split gives the version, 0 to 1. */
  readonly ratio: number;
}

type SplitRelease = Pick<ReleaseSpec, "name" | "versions" | "split">;

/** What the splits of these releases say of each of their versions. A release without a split says nothing. */
export function* weightRatios(releases: Iterable<SplitRelease>): Iterable<WeightRatio> {
  for (const { name: release, versions, split } of releases) {
    if (split === undefined) continue;
    const sum = Object.values(split).reduce((total, weight) => total + weight, 0);
    // Own weights only: `constructor` is a name that a version may have.
    const weights = new Map(Object.entries(split));
    for (const version of versions) yield { release, version, ratio: (weights.get(version) ?? 0) / sum };
  }
}
