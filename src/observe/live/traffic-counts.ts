import { bucketCount } from "../histogram.ts";
import { type ReleaseStats, releaseGroup } from "../release-stats.ts";
import { type RequestStats, requestGroup } from "../request-stats.ts";
import type { StatsByKey } from "../stats-group.ts";
import type { StatsRegistry } from "../stats-registry.ts";

/** The places in the counts of a version: its requests, those that failed, then each bucket of the histogram. */
export const requestsAt = 0;
export const failedAt = 1;
export const bucketsAt = 2;
export const countsLength: number = bucketsAt + bucketCount;

export interface ReleaseTrafficCounts {
  /** By the version served; only those with requests. */
  readonly versions: ReadonlyMap<string, Float64Array>;
  /** Hits by rule; only rules that were hit. */
  readonly ruleHits: ReadonlyMap<string, number>;
}

/** What a data plane counted since it started, by release: plain data that may be sent to another thread. */
export type TrafficCounts = ReadonlyMap<string, ReleaseTrafficCounts>;

/** What of a configuration says which counts belong to which release. */
export interface TrafficConfig {
  readonly releases: readonly { readonly name: string }[];
  readonly services: readonly { readonly name: string; readonly versions: readonly { readonly name: string }[] }[];
  readonly routes: readonly {
    readonly name: string;
    readonly service: string | undefined;
    readonly release: string | undefined;
  }[];
}

interface CountedVersion {
  /** Of each of the release's routes. */
  readonly routes: RequestStats[];
  /** What the release counted by routes that it no longer has, less what its routes counted for others before. */
  base: Float64Array | undefined;
}

interface CountedRelease {
  readonly versions: Map<string, CountedVersion>;
  readonly stats: ReleaseStats | undefined;
}

/**
 * Sums the request stats of one data plane by release. They are asked for every second, in every serving thread, and a
 * large configuration has ten thousand idle routes: which stats belong to which release is found once a configuration.
 */
export class TrafficCounter {
  readonly #stats: StatsRegistry;
  #config: TrafficConfig | undefined;
  #releases: ReadonlyMap<string, CountedRelease> = new Map();
  /** Of the configuration before, when it was counted last. */
  #requests: StatsByKey<RequestStats> = new Map();

  constructor(stats: StatsRegistry) {
    this.#stats = stats;
  }

  /** `config`: the active one. The sums of a release that it still has do not fall, and take no other one's requests. */
  counts(config: TrafficConfig): TrafficCounts {
    if (!this.follows(config)) Array.from(this.following(config));
    return new Map(Array.from(this.#releases, ([name, release]) => [name, countsOf(release)]));
  }

  /** Whether this configuration was the last to be followed. */
  follows(config: TrafficConfig): boolean {
    return config === this.#config;
  }

  /** Finds what `counts` needs of a new configuration. Yields after each route: of ten thousand it takes a while. */
  *following(config: TrafficConfig): Generator<undefined, void> {
    const requests = this.#stats.all(requestGroup);
    const counted = this.#stats.all(releaseGroup);
    const releases = new Map<string, CountedRelease>();
    for (const { name } of config.releases) releases.set(name, { versions: new Map(), stats: counted.get(name) });
    const services = new Map(config.services.map(({ name, versions }) => [name, versions]));
    for (const { name: route, service, release } of config.routes) {
      const versions = releases.get(release ?? "")?.versions;
      if (service === undefined || versions === undefined) continue;
      for (const { name: version } of services.get(service) ?? []) {
        const stats = requests.get(requestGroup.keyOf([route, service, version]));
        if (stats === undefined) continue;
        const { routes } = versions.get(version) ?? added(versions, version);
        routes.push(stats);
      }
      yield;
    }
    const known = new Set(this.#requests.values());
    // All at once: a request between two releases would count for neither.
    for (const [name, { versions }] of releases) goOn(versions, this.#releases.get(name)?.versions, known);
    this.#releases = releases;
    this.#requests = requests;
    this.#config = config;
  }
}

function added(versions: Map<string, CountedVersion>, version: string): CountedVersion {
  const counted: CountedVersion = { routes: [], base: undefined };
  versions.set(version, counted);
  return counted;
}

/**
 * A route keeps its counts when it changes the release, so the sums before and after would differ. What such a route
 * counted since the change is still the former release's.
 */
function goOn(
  versions: Map<string, CountedVersion>,
  before: ReadonlyMap<string, CountedVersion> | undefined,
  known: ReadonlySet<RequestStats>,
): void {
  for (const [version, counted] of versions) {
    const was = before?.get(version);
    const sums = was && sumsOf(was);
    const carried = sumsOf({ routes: counted.routes.filter((stats) => known.has(stats)), base: undefined });
    if (carried === undefined) counted.base = sums;
    else counted.base = carried.map((count, at) => (sums?.[at] ?? 0) - count);
  }
}

function countsOf({ versions, stats }: CountedRelease): ReleaseTrafficCounts {
  const sums = new Map<string, Float64Array>();
  for (const [version, counted] of versions) {
    const sum = sumsOf(counted);
    if (sum !== undefined && (sum[requestsAt] ?? 0) > 0) sums.set(version, sum);
  }
  const ruleHits = new Map<string, number>();
  for (const [rule, { value }] of stats?.ruleHits ?? []) if (value > 0) ruleHits.set(rule, value);
  return { versions: sums, ruleHits };
}

/** Undefined without requests. */
function sumsOf({ routes, base }: CountedVersion): Float64Array | undefined {
  let sums = base?.slice();
  for (const { duration, failed } of routes) {
    if (duration.isEmpty) continue;
    sums ??= new Float64Array(countsLength);
    sums[failedAt] = (sums[failedAt] ?? 0) + failed;
    duration.addTo(sums, bucketsAt);
  }
  if (sums !== undefined) sums[requestsAt] = sums.subarray(bucketsAt).reduce((total, count) => total + count, 0);
  return sums;
}

/** What several data planes counted together. */
export function sumTraffic(all: readonly TrafficCounts[]): TrafficCounts {
  const sum = new Map<string, { versions: Map<string, Float64Array>; ruleHits: Map<string, number> }>();
  for (const [name, { versions, ruleHits }] of all.flatMap((counts) => [...counts])) {
    const release = sum.get(name) ?? { versions: new Map<string, Float64Array>(), ruleHits: new Map<string, number>() };
    sum.set(name, release);
    for (const [version, counts] of versions) {
      const before = release.versions.get(version);
      release.versions.set(
        version,
        before === undefined ? counts : before.map((count, at) => count + (counts[at] ?? 0)),
      );
    }
    for (const [rule, hits] of ruleHits) release.ruleHits.set(rule, (release.ruleHits.get(rule) ?? 0) + hits);
  }
  return sum;
}
