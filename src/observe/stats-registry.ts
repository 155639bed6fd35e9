/**
 * What the hot path counts into: plain numbers, resolved when a snapshot is built, so that a request hashes no labels
 * and allocates nothing. The exporter reads them when it is scraped. Label values come from the configuration or from
 * closed lists, never from a peer, so the number of series is bounded whatever anyone sends.
 */
import { attributeGroup, patternGroup } from "./attribute-stats.ts";
import { dnsGroup } from "./dns-stats.ts";
import { listenerGroup } from "./listener-stats.ts";
import { mirrorGroup } from "./mirror-stats.ts";
import {
  accessLogGroup,
  handoverGroup,
  jwksGroup,
  refusalGroup,
  reloadGroup,
  shedGroup,
  spanGroup,
} from "./process-stats.ts";
import { redisGroup } from "./redis-stats.ts";
import { releaseGroup } from "./release-stats.ts";
import { requestGroup } from "./request-stats.ts";
import { faultGroup, rateLimitGroup } from "./route-stats.ts";
import type { ExportedMetric, StatsByKey, StatsGroup } from "./stats-group.ts";
import { type StatsCounts, sumCounts } from "./stats-transfer.ts";
import { upstreamGroup } from "./upstream-stats.ts";

export type { AttributeStats } from "./attribute-stats.ts";
export type { ListenerStats } from "./listener-stats.ts";
export type { MirrorStats } from "./mirror-stats.ts";
export type { JwksStats, ReloadStats } from "./process-stats.ts";
export type { ReleaseStats } from "./release-stats.ts";
export type { RequestStats } from "./request-stats.ts";
export type { FaultStats, RateLimitStats } from "./route-stats.ts";
export type { UpstreamStats } from "./upstream-stats.ts";

type AnyGroup = StatsGroup<unknown, readonly unknown[]>;
type StatsByGroup = ReadonlyMap<AnyGroup, StatsByKey<unknown>>;

/**
 * Collects the stats of a snapshot while it is being built. Stats that the active snapshot has for the same names
 * are shared, so their counts continue; `commit` removes those that were never requested. Dropped without a commit, it
 * leaves everything as it was.
 */
export class StatsGeneration {
  readonly #made = new Map<AnyGroup, Map<string, unknown>>();
  readonly #before: StatsByGroup;
  readonly #activate: (made: StatsByGroup) => void;

  // A new group of a snapshot's stats is a line here.
  /** `none` stands for what a request never got to: a route, a service, a version. */
  readonly request = this.#makerOf(requestGroup);
  readonly upstream = this.#makerOf(upstreamGroup);
  readonly release = this.#makerOf(releaseGroup);
  readonly attribute = this.#makerOf(attributeGroup);
  readonly pattern = this.#makerOf(patternGroup);
  readonly mirror = this.#makerOf(mirrorGroup);
  readonly listener = this.#makerOf(listenerGroup);
  /** A name that is resolved by DNS. */
  readonly name = this.#makerOf(dnsGroup);
  /** Of a route with a rate limit. */
  readonly rateLimit = this.#makerOf(rateLimitGroup);
  /** A Redis server that rate limits are shared through. */
  readonly redis = this.#makerOf(redisGroup);
  /** Of a route with fault injection. */
  readonly fault = this.#makerOf(faultGroup);

  constructor(before: StatsByGroup, activate: (made: StatsByGroup) => void) {
    this.#before = before;
    this.#activate = activate;
  }

  /** The same object for the same label values, however often it is asked for. */
  of<S, A extends readonly unknown[]>(group: StatsGroup<S, A>, ...args: A): S {
    const key = group.keyOf(args);
    const made = (this.#made.get(group) as Map<string, S> | undefined) ?? new Map<string, S>();
    this.#made.set(group, made);
    const stats = made.get(key) ?? group.make(statsOf(this.#before, group).get(key), args);
    made.set(key, stats);
    return stats;
  }

  /** From here on these stats, and no others, are exported. Call it where the snapshot is swapped. */
  commit(): void {
    // Not `this`: it knows the stats before it, so every reload would keep all earlier ones alive.
    this.#activate(this.#made);
  }

  #makerOf<S, A extends readonly unknown[]>(group: StatsGroup<S, A>): (...args: A) => S {
    this.#made.set(group, new Map());
    return (...args) => this.of(group, ...args);
  }
}

/** Holds what is exported: the stats of the active snapshot, and those of the process that no reload replaces. */
export class StatsRegistry {
  readonly #lasting = new Map<AnyGroup, StatsByKey<unknown>>();
  #active: StatsByGroup = new Map();

  // A new group that no reload replaces is a line here.
  readonly reloads = this.#only(reloadGroup);
  readonly accessLog = this.#only(accessLogGroup);
  readonly handovers = this.#only(handoverGroup);
  readonly jwks = this.#only(jwksGroup);
  readonly shed = this.#only(shedGroup);
  readonly refusals = this.#only(refusalGroup);
  readonly spans = this.#only(spanGroup);

  constructor() {
    // Metrics are declared before the first snapshot has stats for them.
    this.begin().commit();
  }

  begin(): StatsGeneration {
    return new StatsGeneration(this.#active, (made) => {
      this.#active = new Map([...made, ...this.#lasting]);
    });
  }

  /** The active stats of a group, by their label values; of several labels, joined by newlines. */
  all<S, A extends readonly unknown[]>(group: StatsGroup<S, A>): StatsByKey<S> {
    return statsOf(this.#active, group);
  }

  /** Every metric that is declared, also where there are no stats for it. */
  metrics(): readonly ExportedMetric[] {
    return Array.from(this.#active.keys()).flatMap((group) => group.exported(() => this.all(group)));
  }

  counts(): StatsCounts {
    return sumCounts(Array.from(this.#active, ([group, all]) => group.counts(all)));
  }

  /** Sets the active stats to these counts and no others; counts of what is no longer configured are dropped. */
  restore(counts: StatsCounts): void {
    for (const [group, all] of this.#active) group.restore(all, counts);
  }

  #only<S>(group: StatsGroup<S>): S {
    const stats = group.make(undefined, []);
    this.#lasting.set(group, new Map([[group.keyOf([]), stats]]));
    return stats;
  }
}

function statsOf<S, A extends readonly unknown[]>(all: StatsByGroup, group: StatsGroup<S, A>): StatsByKey<S> {
  return (all.get(group) as StatsByKey<S> | undefined) ?? new Map();
}
