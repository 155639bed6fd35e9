import { Candidate, emptyHash, extendHash, PartIndex, PathIndex, type RoutableRequest } from "./path-index.ts";
import type { RouteMatch } from "./route-spec.ts";

const dot = 0x2e;

export interface RouteEntry<T> {
  readonly match: RouteMatch;
  readonly target: T;
}

/**
 * Finds the route of a request: the first in file order that matches. Routes are indexed by host and path, so look-up
 * time does not grow with routes of other hosts, exact paths or prefixes. Routes of one host with a regex or without a
 * path, and routes of the same path, are tried one by one. A look-up does not allocate.
 *
 * Hosts are case-insensitive; paths are case-sensitive and not decoded. Methods must be equal: a route for GET does not
 * match HEAD. The target `*` of `OPTIONS *` is not below the prefix `/`: it matches routes without a path, and those
 * whose regex or exact path matches that text.
 */
export class RouteTable<T> {
  readonly #entries: RouteEntry<T>[] = [];
  readonly #hosts = new Map<string, PathIndex<T>>();
  /** By the part of `*.example.com` after the `*`. */
  readonly #wildcards = new PartIndex<PathIndex<T>>("backwards");
  readonly #anyHost = new PathIndex<T>();

  constructor(entries: readonly RouteEntry<T>[]) {
    for (const entry of entries) this.#add(entry);
  }

  /** The same as the constructor, but yields after each route. */
  static *building<T>(entries: readonly RouteEntry<T>[]): Generator<undefined, RouteTable<T>> {
    const table = new RouteTable<T>([]);
    for (const entry of entries) {
      table.#add(entry);
      yield;
    }
    return table;
  }

  /** In file order. */
  get entries(): readonly RouteEntry<T>[] {
    return this.#entries;
  }

  #add(entry: RouteEntry<T>): void {
    const { match, target } = entry;
    const order = this.#entries.push(entry) - 1;
    const candidate = new Candidate(match, target, order);
    const hosts = new Set(match.hosts.map((host) => host.toLowerCase()));
    if (hosts.size === 0) this.#anyHost.add(candidate);
    for (const host of hosts) this.#indexOf(host).add(candidate);
  }

  #indexOf(host: string): PathIndex<T> {
    if (host === "*") return this.#anyHost;
    if (host.startsWith("*.")) return this.#wildcards.at(host.slice(1), () => new PathIndex());
    const index = this.#hosts.get(host) ?? new PathIndex<T>();
    this.#hosts.set(host, index);
    return index;
  }

  /** The target of the matching route; undefined if there is none. `nowMs` is for tests of times. */
  find(request: RoutableRequest, nowMs: number): T | undefined {
    let best = this.#hosts.get(request.host)?.best(request, nowMs, undefined);
    if (this.#wildcards.longest > 0) best = this.#bestWildcard(request, nowMs, best);
    return this.#anyHost.best(request, nowMs, best)?.target;
  }

  /** Looks up the suffix from each dot, right to left, at most as far as the longest wildcard. */
  #bestWildcard(request: RoutableRequest, nowMs: number, best: Candidate<T> | undefined): Candidate<T> | undefined {
    const { host } = request;
    // `*` matches at least one character, so the suffix never includes the host's first.
    const first = Math.max(1, host.length - this.#wildcards.longest);
    let found = best;
    let hash = emptyHash;
    for (let at = host.length - 1; at >= first; at--) {
      const code = host.charCodeAt(at);
      hash = extendHash(hash, code);
      if (code !== dot) continue;
      found = this.#wildcards.find(host, at, host.length, hash)?.best(request, nowMs, found) ?? found;
    }
    return found;
  }
}
