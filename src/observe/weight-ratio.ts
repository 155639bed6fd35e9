import type { ReleaseSpec } from "../decide/release-spec.ts";

export interface WeightRatio {
  readonly release: string;
  readonly version: string;
  /** The share that the split gives the version, 0 to 1. */
  readonly ratio: number;
}

type SplitRelease = Pick<ReleaseSpec, "name" | "versions" | "split">;

/** The shares of all versions of these releases; none of a release without a split. */
export function* weightRatios(releases: Iterable<SplitRelease>): Iterable<WeightRatio> {
  for (const { name: release, versions, split } of releases) {
    if (split === undefined) continue;
    const sum = Object.values(split).reduce((total, weight) => total + weight, 0);
    // Own properties only: a version may be named `constructor`.
    const weights = new Map(Object.entries(split));
    for (const version of versions) yield { release, version, ratio: (weights.get(version) ?? 0) / sum };
  }
}
