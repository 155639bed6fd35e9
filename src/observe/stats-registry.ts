/**
 * What the hot path counts into: plain numbers, resolved when a snapshot is built, so that a request hashes no labels
 * and allocates nothing. The exporter reads them when it is scraped. Label values come from the configuration or from
 * closed lists, never from a peer, so the number of series is bounded whatever anyone sends.
 */
import {
  AttributeCells,
  type Cell,
  HandoverCells,
  JwksCells,
  NameCells,
  ReloadCells,
  ShedCells,
  SpanCells,
} from "./counters.ts";
import { ListenerCells, type ListenerFront } from "./listener-stats.ts";
import { MirrorCells } from "./mirror-stats.ts";
import { ReleaseCells } from "./release-stats.ts";
import { RequestCells, type RequestCounts, RouteCells } from "./request-stats.ts";
import type { CellCounts } from "./stats-transfer.ts";
import { UpstreamCells } from "./upstream-stats.ts";

export type {
  AttributeCells,
  Cell,
  JwksCells,
  ListenerCells,
  MirrorCells,
  ReleaseCells,
  ReloadCells,
  RequestCells,
  RouteCells,
  UpstreamCells,
};

/** The cells of one snapshot, by what they stand for. */
interface CellSet {
  readonly requests: ReadonlyMap<string, RequestCells>;
  readonly upstreams: ReadonlyMap<string, UpstreamCells>;
  readonly releases: ReadonlyMap<string, ReleaseCells>;
  readonly attributes: ReadonlyMap<string, AttributeCells>;
  readonly mirrors: ReadonlyMap<string, MirrorCells>;
  readonly listeners: ReadonlyMap<string, ListenerCells>;
  readonly names: ReadonlyMap<string, NameCells>;
  readonly routes: ReadonlyMap<string, RouteCells>;
}

/** A newline cannot be part of a configured name, so keys of different names never meet. */
const keyOf = (...names: readonly string[]): string => names.join("\n");

/**
 * Collects the cells of a snapshot that is being built aside. Cells that the active snapshot has for the same names
 * are shared, so their counts go on; what is never asked for goes away with `commit`. Dropped without a commit, it
 * leaves everything as it was.
 */
export class CellGeneration {
  readonly #requests = new Map<string, RequestCells>();
  readonly #upstreams = new Map<string, UpstreamCells>();
  readonly #releases = new Map<string, ReleaseCells>();
  readonly #attributes = new Map<string, AttributeCells>();
  readonly #mirrors = new Map<string, MirrorCells>();
  readonly #listeners = new Map<string, ListenerCells>();
  readonly #names = new Map<string, NameCells>();
  readonly #routes = new Map<string, RouteCells>();
  readonly #before: CellSet;
  readonly #activate: (cells: CellSet) => void;

  constructor(before: CellSet, activate: (cells: CellSet) => void) {
    this.#before = before;
    this.#activate = activate;
  }

  /** `none` stands for what a request never got to: a route, a service, a version. */
  request(route: string, service: string, version: string): RequestCells {
    const key = keyOf(route, service, version);
    const cells =
      this.#requests.get(key) ?? this.#before.requests.get(key) ?? new RequestCells(route, service, version);
    this.#requests.set(key, cells);
    return cells;
  }

  upstream(service: string, version: string): UpstreamCells {
    const key = keyOf(service, version);
    const cells = this.#upstreams.get(key) ?? this.#before.upstreams.get(key) ?? new UpstreamCells(service, version);
    this.#upstreams.set(key, cells);
    return cells;
  }

  /** Asked for once per release: `versions` are all it can assign, `rules` the names of its rules. */
  release(name: string, versions: readonly string[], rules: readonly string[]): ReleaseCells {
    const cells = new ReleaseCells(name, versions, rules, this.#before.releases.get(name));
    this.#releases.set(name, cells);
    return cells;
  }

  /** Asked for once per attribute: `causes` are all that its sources can have. */
  attribute(name: string, causes: readonly string[]): AttributeCells {
    const cells = new AttributeCells(name, causes, this.#before.attributes.get(name));
    this.#attributes.set(name, cells);
    return cells;
  }

  mirror(release: string, version: string): MirrorCells {
    const key = keyOf(release, version);
    const cells = this.#mirrors.get(key) ?? this.#before.mirrors.get(key) ?? new MirrorCells(release, version);
    this.#mirrors.set(key, cells);
    return cells;
  }

  listener(name: string, front: ListenerFront): ListenerCells {
    const cells = new ListenerCells(name, front, this.#before.listeners.get(name));
    this.#listeners.set(name, cells);
    return cells;
  }

  /** Asked for once per route; those that have neither a limit nor faults are not kept. */
  route(name: string, has: RouteCells["has"]): RouteCells {
    const cells = new RouteCells(name, has, this.#before.routes.get(name));
    if (has.rateLimit || has.fault) this.#routes.set(name, cells);
    return cells;
  }

  /** A name that is resolved by DNS. */
  name(name: string): NameCells {
    const cells = this.#names.get(name) ?? this.#before.names.get(name) ?? new NameCells(name);
    this.#names.set(name, cells);
    return cells;
  }

  /** From here on these cells, and no others, are exported. Call it where the snapshot is swapped. */
  commit(): void {
    // Not `this`: it knows the cells before it, so every reload would keep all earlier ones alive.
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

/** Holds what is exported: the cells of the active snapshot, and those of the process that no reload replaces. */
export class CellRegistry {
  readonly reloads = new ReloadCells();
  /** Access log lines that could not be written. */
  readonly accessLogDropped: Cell = { value: 0 };
  readonly handovers = new HandoverCells();
  readonly jwks = new JwksCells();
  readonly spans = new SpanCells();
  readonly shed = new ShedCells();
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

  begin(): CellGeneration {
    return new CellGeneration(this.#active, (cells) => {
      this.#active = cells;
    });
  }

  requests(): Iterable<RequestCells> {
    return this.#active.requests.values();
  }

  upstreams(): Iterable<UpstreamCells> {
    return this.#active.upstreams.values();
  }

  releases(): Iterable<ReleaseCells> {
    return this.#active.releases.values();
  }

  attributes(): Iterable<AttributeCells> {
    return this.#active.attributes.values();
  }

  routes(): Iterable<RouteCells> {
    return this.#active.routes.values();
  }

  names(): ReadonlyMap<string, NameCells> {
    return this.#active.names;
  }

  mirrors(): Iterable<MirrorCells> {
    return this.#active.mirrors.values();
  }

  listeners(): Iterable<ListenerCells> {
    return this.#active.listeners.values();
  }

  /** What the active cells counted. Most routes of a large table are idle, and left out. */
  counts(): CellCounts {
    const { requests, upstreams, releases, attributes, mirrors, listeners, names, routes } = this.#active;
    const busy = Array.from(requests, ([key, cells]): [string, RequestCounts] => [key, cells.counts()]);
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

  /** Sets the active cells to these counts and no others; what they have no cell for is left out. */
  restore(counts: CellCounts): void {
    const { requests, upstreams, releases, attributes, mirrors, listeners, names, routes } = this.#active;
    for (const [key, cells] of requests) cells.restore(counts.requests.get(key));
    for (const [key, cells] of upstreams) cells.restore(counts.upstreams.get(key));
    for (const [key, cells] of releases) cells.restore(counts.releases.get(key));
    for (const [key, cells] of attributes) cells.restore(counts.attributes.get(key));
    for (const [key, cells] of mirrors) cells.restore(counts.mirrors.get(key));
    for (const [key, cells] of listeners) cells.restore(counts.listeners.get(key));
    for (const [key, cells] of names) cells.restore(counts.names.get(key));
    for (const [key, cells] of routes) cells.restore(counts.routes.get(key));
    this.handovers.restore(counts.handovers);
    this.jwks.restore(counts.jwks);
    this.spans.restore(counts.spans);
    this.shed.restore(counts.shed);
  }
}

const countsOf = <C>(all: ReadonlyMap<string, { counts(): C }>): ReadonlyMap<string, C> =>
  new Map(Array.from(all, ([key, cells]) => [key, cells.counts()]));
