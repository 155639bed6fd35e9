import { isDeepStrictEqual } from "node:util";
import type { LiveRelease } from "../admin/live/live-bodies.ts";
import type { RouteSpec } from "../config/compiled-config.ts";
import { describeCondition } from "../decide/condition.ts";
import type { Release } from "../decide/release.ts";
import { describeUse, type ReleaseSpec, type StickySpec, type Weights } from "../decide/release-spec.ts";
import { weightRatios, withWeightsInForce } from "../observe/weight-ratio.ts";
import type { Service } from "../proxy/service.ts";
import type { Snapshot } from "../proxy/snapshot.ts";

/** A condition may list thousands of values, and this is sent to everyone who looks on. */
const maxText = 500;

/** What a `LiveRelease` was made from. */
interface Made {
  readonly policy: Release;
  readonly weights: Weights | undefined;
  readonly routes: readonly RouteSpec[];
  /** The service of the first route. */
  readonly paired: Service | undefined;
  readonly release: LiveRelease;
}

/** What is configured and in force of each release: made again only when something of it has changed. */
export class LiveReleases {
  #snapshot: Snapshot | undefined;
  #weights: readonly (Weights | undefined)[] = [];
  #made: ReadonlyMap<string, Made> = new Map();
  #releases: readonly LiveRelease[] = [];

  of(snapshot: Snapshot): readonly LiveRelease[] {
    const policies = Array.from(snapshot.releases.values(), ({ policy }) => policy);
    // What directs a release makes other weights.
    const weights = policies.map((policy) => policy.weights);
    if (snapshot === this.#snapshot && isSameList(weights, this.#weights)) return this.#releases;
    const routes = Map.groupBy(snapshot.config.routes, ({ release }) => release);
    const made = policies.map((policy) => this.#make(policy, routes.get(policy.name) ?? [], snapshot.services));
    this.#made = new Map(made.map((one) => [one.policy.name, one]));
    const releases = made.map(({ release }) => release);
    if (!isSameList(releases, this.#releases)) this.#releases = releases;
    this.#snapshot = snapshot;
    this.#weights = weights;
    return this.#releases;
  }

  /** The same object if it says the same. */
  #make(policy: Release, routes: readonly RouteSpec[], services: Snapshot["services"]): Made {
    const { weights } = policy;
    const paired = services.get(routes[0]?.service ?? "");
    const before = this.#made.get(policy.name);
    const isSame = before?.policy === policy && before.weights === weights && before.paired === paired;
    if (isSame && isSameList(before.routes, routes)) return before;
    const made = liveRelease(policy, routes, paired);
    const release = before !== undefined && isDeepStrictEqual(made, before.release) ? before.release : made;
    return { policy, weights, routes, paired, release };
  }
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}

function liveRelease(
  { spec, weights, isDirected }: Release,
  routes: readonly RouteSpec[],
  paired: Service | undefined,
): LiveRelease {
  const inForce = withWeightsInForce({ spec, weights });
  const shares = new Map(Array.from(weightRatios([inForce]), ({ version, ratio }) => [version, ratio]));
  const compared = spec.rollout ?? comparedOf(spec, paired?.defaultVersion.name, shares);
  return {
    release: spec.name,
    unit: unitText(spec.sticky),
    baseline: compared.baseline ?? null,
    candidate: compared.candidate ?? null,
    versions: spec.versions.map((version) => ({ version, configuredShare: shares.get(version) ?? null })),
    rules: spec.rules.map(({ name, when, use }) => ({
      rule: name,
      when: shortened(describeCondition(when)),
      use: describeUse(use),
    })),
    routes: routes.map(({ name }) => name),
    services: [...new Set(routes.flatMap(({ service }) => service ?? []))],
    configuredSplit: spec.split ?? null,
    isDirected,
  };
}

/** Of a release without a rollout. */
function comparedOf({ versions }: ReleaseSpec, baseline: string | undefined, shares: ReadonlyMap<string, number>) {
  if (baseline === undefined || !versions.includes(baseline)) return { baseline: undefined, candidate: undefined };
  // A sort is stable: of equal shares the first wins.
  const [candidate] = versions
    .filter((version) => version !== baseline)
    .toSorted((one, other) => (shares.get(other) ?? 0) - (shares.get(one) ?? 0));
  return { baseline, candidate };
}

function unitText({ by }: StickySpec): string {
  if (by === undefined) return "pin";
  return by.kind === "attribute" ? `attribute ${by.name}` : "client address";
}

function shortened(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText)}…`;
}
