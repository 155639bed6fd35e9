import type { Release } from "../decide/release.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";

export interface WeightRatio {
  readonly release: string;
  readonly version: string;
  /** The share that the split gives the version, 0 to 1. */
  readonly ratio: number;
}

/** A release's configuration with the weights in force as its split: those that an operator or a rollout set. */
export function withWeightsInForce({ spec, weights }: Pick<Release, "spec" | "weights">): ReleaseSpec {
  return { ...spec, split: weights };
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
