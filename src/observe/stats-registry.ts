/**
 * What the hot path counts into: plain numbers, resolved when a snapshot is built, so that a request hashes no labels
 * and allocates nothing. The exporter reads them when it is scraped. Label values come from the configuration or from
 * closed lists, never from a peer, so the number of series is bounded whatever anyone sends.
 */
import {
  AttributeStats,
  type Counter,
  DnsStats,
  HandoverStats,
  JwksStats,
  ReloadStats,
  ShedStats,
  SpanStats,
} from "./counters.ts";
import { type ListenerFront, ListenerStats } from "./listener-stats.ts";
import { MirrorStats } from "./mirror-stats.ts";
import { ReleaseStats } from "./release-stats.ts";
import { type RequestCounts, RequestStats, RouteStats } from "./request-stats.ts";
import type { StatsCounts } from "./stats-transfer.ts";
import { UpstreamStats } from "./upstream-stats.ts";

export type {
  AttributeStats,
  Counter,
  JwksStats,
  ListenerStats,
  MirrorStats,
  ReleaseStats,
  ReloadStats,
  RequestStats,
  RouteStats,
  UpstreamStats,
};

/** The stats of one snapshot, by what they stand for. */
interface CellSet {
  readonly requests: ReadonlyMap<string, RequestStats>;
  readonly upstreams: ReadonlyMap<string, UpstreamStats>;
  readonly releases: ReadonlyMap<string, ReleaseStats>;
  readonly attributes: ReadonlyMap<string, AttributeStats>;
  readonly mirrors: ReadonlyMap<string, MirrorStats>;
  readonly listeners: ReadonlyMap<string, ListenerStats>;
  readonly names: ReadonlyMap<string, DnsStats>;
  readonly routes: ReadonlyMap<string, RouteStats>;
}

/** A newline cannot be part of a configured name, so keys of different names never meet. */
const keyOf = (...names: readonly string[]): string => names.join("\n");

/**
 * Collects the stats of a snapshot that is being built aside. Stats that the active snapshot has for the same names
 * are shared, so their counts go on; what is never asked for goes away with `commit`. Dropped without a commit, it
 * leaves everything as it was.
 */
export class StatsGeneration {
  readonly #requests = new Map<string, RequestStats>();
  readonly #upstreams = new Map<string, UpstreamStats>();
  readonly #releases = new Map<string, ReleaseStats>();
  readonly #attributes = new Map<string, AttributeStats>();
  readonly #mirrors = new Map<string, MirrorStats>();
  readonly #listeners = new Map<string, ListenerStats>();
  readonly #names = new Map<string, DnsStats>();
  readonly #routes = new Map<string, RouteStats>();
  readonly #before: CellSet;
  readonly #activate: (stats: CellSet) => void;

  constructor(before: CellSet, activate: (stats: CellSet) => void) {
    this.#before = before;
    this.#activate = activate;
  }

  /** `none` stands for what a request never got to: a route, a service, a version. */
  request(route: string, service: string, version: string): RequestStats {
    const key = keyOf(route, service, version);
    const stats =
      this.#requests.get(key) ?? this.#before.requests.get(key) ?? new RequestStats(route, service, version);
    this.#requests.set(key, stats);
    return stats;
  }

  upstream(service: string, version: string): UpstreamStats {
    const key = keyOf(service, version);
    const stats = this.#upstreams.get(key) ?? this.#before.upstreams.get(key) ?? new UpstreamStats(service, version);
    this.#upstreams.set(key, stats);
    return stats;
  }

  /** Asked for once per release: `versions` are all it can assign, `rules` the names of its rules. */
  release(name: string, versions: readonly string[], rules: readonly string[]): ReleaseStats {
    const stats = new ReleaseStats(name, versions, rules, this.#before.releases.get(name));
    this.#releases.set(name, stats);
    return stats;
  }

  /** Asked for once per attribute: `causes` are all that its sources can have. */
  attribute(name: string, causes: readonly string[]): AttributeStats {
    const stats = new AttributeStats(name, causes, this.#before.attributes.get(name));
    this.#attributes.set(name, stats);
    return stats;
  }

  mirror(release: string, version: string): MirrorStats {
    const key = keyOf(release, version);
    const stats = this.#mirrors.get(key) ?? this.#before.mirrors.get(key) ?? new MirrorStats(release, version);
    this.#mirrors.set(key, stats);
    return stats;
  }

  listener(name: string, front: ListenerFront): ListenerStats {
    const stats = new ListenerStats(name, front, this.#before.listeners.get(name));
    this.#listeners.set(name, stats);
    return stats;
  }

  /** Asked for once per route; those that have neither a limit nor faults are not kept. */
  route(name: string, has: RouteStats["has"]): RouteStats {
    const stats = new RouteStats(name, has, this.#before.routes.get(name));
    if (has.rateLimit || has.fault) this.#routes.set(name, stats);
    return stats;
  }

  /** A name that is resolved by DNS. */
  name(name: string): DnsStats {
    const stats = this.#names.get(name) ?? this.#before.names.get(name) ?? new DnsStats(name);
    this.#names.set(name, stats);
    return stats;
  }

  /** From here on these stats, and no others, are exported. Call it where the snapshot is swapped. */
  commit(): void {
    // Not `this`: it knows the stats before it, so every reload would keep all earlier ones alive.
    this.#activate({
      requests: this.#requests,
      upstreams: this.#upstreams,
      releases: this.#releases,
      attributes: this.#attributes,
      mirrors: this.#mirrors,
      listeners: this.#listeners,
      names: this.#names,
      routes: this.#routes,
    });
  }
}

/** Holds what is exported: the stats of the active snapshot, and those of the process that no reload replaces. */
export class StatsRegistry {
  readonly reloads = new ReloadStats();
  /** Access log lines that could not be written. */
  readonly accessLogDropped: Counter = { value: 0 };
  readonly handovers = new HandoverStats();
  readonly jwks = new JwksStats();
  readonly spans = new SpanStats();
  readonly shed = new ShedStats();
  #active: CellSet = {
    requests: new Map(),
    upstreams: new Map(),
    releases: new Map(),
    attributes: new Map(),
    mirrors: new Map(),
    listeners: new Map(),
    names: new Map(),
    routes: new Map(),
  };

  begin(): StatsGeneration {
    return new StatsGeneration(this.#active, (stats) => {
      this.#active = stats;
    });
  }

  requests(): Iterable<RequestStats> {
    return this.#active.requests.values();
  }

  upstreams(): Iterable<UpstreamStats> {
    return this.#active.upstreams.values();
  }

  releases(): Iterable<ReleaseStats> {
    return this.#active.releases.values();
  }

  attributes(): Iterable<AttributeStats> {
    return this.#active.attributes.values();
  }

  routes(): Iterable<RouteStats> {
    return this.#active.routes.values();
  }

  names(): ReadonlyMap<string, DnsStats> {
    return this.#active.names;
  }

  mirrors(): Iterable<MirrorStats> {
    return this.#active.mirrors.values();
  }

  listeners(): Iterable<ListenerStats> {
    return this.#active.listeners.values();
  }

  /** What the active stats counted. Most routes of a large table are idle, and left out. */
  counts(): StatsCounts {
    const { requests, upstreams, releases, attributes, mirrors, listeners, names, routes } = this.#active;
    const busy = Array.from(requests, ([key, stats]): [string, RequestCounts] => [key, stats.counts()]);
    return {
      requests: new Map(busy.filter(([, { codes }]) => codes.size > 0)),
      upstreams: countsOf(upstreams),
      releases: countsOf(releases),
      attributes: countsOf(attributes),
      mirrors: countsOf(mirrors),
      listeners: countsOf(listeners),
      names: countsOf(names),
      routes: countsOf(routes),
      handovers: this.handovers.counts(),
      jwks: this.jwks.counts(),
      spans: this.spans.counts(),
      shed: this.shed.counts(),
    };
  }

  /** Sets the active stats to these counts and no others; what they have no counter for is left out. */
  restore(counts: StatsCounts): void {
    const { requests, upstreams, releases, attributes, mirrors, listeners, names, routes } = this.#active;
    for (const [key, stats] of requests) stats.restore(counts.requests.get(key));
    for (const [key, stats] of upstreams) stats.restore(counts.upstreams.get(key));
    for (const [key, stats] of releases) stats.restore(counts.releases.get(key));
    for (const [key, stats] of attributes) stats.restore(counts.attributes.get(key));
    for (const [key, stats] of mirrors) stats.restore(counts.mirrors.get(key));
    for (const [key, stats] of listeners) stats.restore(counts.listeners.get(key));
    for (const [key, stats] of names) stats.restore(counts.names.get(key));
    for (const [key, stats] of routes) stats.restore(counts.routes.get(key));
    this.handovers.restore(counts.handovers);
    this.jwks.restore(counts.jwks);
    this.spans.restore(counts.spans);
    this.shed.restore(counts.shed);
  }
}

const countsOf = <C>(all: ReadonlyMap<string, { counts(): C }>): ReadonlyMap<string, C> =>
  new Map(Array.from(all, ([key, stats]) => [key, stats.counts()]));
