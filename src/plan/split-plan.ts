import type { CompiledConfig } from "../config/compiled-config.ts";
import { Release } from "../decide/release.ts";
import type { ReleaseSpec, Weights } from "../decide/release-spec.ts";
import type { ReleaseTraffic } from "../decide/release-traffic.ts";
import { cohortOf, defaultVersion, pairedServices } from "./release-plan.ts";
import { type Move, simulate } from "./simulate.ts";

/** What another split does to the users whom no rule matches: shares of all of them, 0 to 1. */
export interface SplitPlan {
  /** At their next request, of users with a pin. */
  readonly moved: number;
  readonly moves: readonly Move[];
  /** The shares that the split gives, with the rollout that runs under it. */
  readonly after: Readonly<Record<string, number>>;
}

/** `traffic`: what holds now beside the configuration; the split given takes the place of its split. */
export function planSplit(
  config: CompiledConfig,
  release: ReleaseSpec,
  traffic: ReleaseTraffic | undefined,
  split: Weights,
  units: number,
): SplitPlan {
  const [service = ""] = pairedServices(config, release.name);
  const spec = cohortOf(release, undefined);
  const policy = { spec, defaultVersion: defaultVersion(config, service) ?? release.versions[0] ?? "" };
  const changed = { split, rollout: traffic?.rollout };
  const { pinned } = simulate({ ...policy, traffic }, { ...policy, traffic: changed }, units);
  return { ...pinned, after: sharesOf(release, changed) };
}

function sharesOf(spec: ReleaseSpec, traffic: ReleaseTraffic): Record<string, number> {
  const release = new Release(spec);
  release.direct(traffic);
  const weights = Object.entries(release.weights ?? {});
  const sum = weights.reduce((total, [, weight]) => total + weight, 0);
  return Object.fromEntries(weights.map(([version, weight]) => [version, weight / sum]));
}
