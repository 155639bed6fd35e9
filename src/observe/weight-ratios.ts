import type { ReleaseSpec } from "../decide/release.ts";

export interface WeightRatio {
  readonly release: string;
  readonly version: string;
  /** The share that the split gives the version, 0 to 1. */
  readonly ratio: number;
}

/** What the splits of these releases say of each of their versions. A release without a split says nothing. */
export function* weightRatios(releases: Iterable<ReleaseSpec>): Iterable<WeightRatio> {
  for (const { name: release, versions, split } of releases) {
    if (split === undefined) continue;
    const sum = Object.values(split).reduce((total, weight) => total + weight, 0);
    for (const version of versions) yield { release, version, ratio: (split[version] ?? 0) / sum };
  }
}
