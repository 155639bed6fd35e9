import { Candidate, emptyHash, extendHash, PartIndex, PathIndex, type RoutableRequest } from "./path-index.ts";
import type { RouteMatch } from "./route-spec.ts";

const dot = 0x2e;

/**
 * Finds the route of a request: the first in file order whose match holds. Routes are indexed by host and path, so the
 * time does not grow with routes that have hosts, exact paths or prefixes of their own; routes of one host by regex or
 * without a path, and routes of one same path, are tried one by one. A look-up allocates nothing.
 *
 * Hosts compare without regard to case, paths with it and as they are given, undecoded. Methods compare exactly: a route for GET
 * does not take HEAD. The target `*` of `OPTIONS *` is no path below `/`: only routes without a path take it, or those
 * whose regex or exact path is that very text.
 */
export class RouteTable<T> {
  readonly #hosts = new Map<string, PathIndex<T>>();
  /** By what follows the `*` of `*.example.com`. */
  readonly #wildcards = new PartIndex<PathIndex<T>>("backwards");
  readonly #anyHost = new PathIndex<T>();

  constructor(routes: readonly { readonly match: RouteMatch; readonly target: T }[]) {
    routes.forEach(({ match, target }, order) => {
      const candidate = new Candidate(match, target, order);
      const hosts = new Set(match.hosts.map((host) => host.toLowerCase()));
      if (hosts.size === 0) this.#anyHost.add(candidate);
      for (const host of hosts) this.#indexOf(host).add(candidate);
    });
  }

  #indexOf(host: string): PathIndex<T> {
    if (host === "*") return this.#anyHost;
    if (host.startsWith("*.")) return this.#wildcards.at(host.slice(1), () => new PathIndex());
    const index = this.#hosts.get(host) ?? new PathIndex<T>();
    this.#hosts.set(host, index);
    return index;
  }

  /** The target of the route that takes this request; undefined where none does. `nowMs` is for tests of times. */
  find(request: RoutableRequest, nowMs: number): T | undefined {
    let best = this.#hosts.get(request.host)?.best(request, nowMs, undefined);
    if (this.#wildcards.longest > 0) best = this.#bestWildcard(request, nowMs, best);
    return this.#anyHost.best(request, nowMs, best)?.target;
  }

  /** Looks at each dot from the right, and no further than the longest wildcard reaches. */
  #bestWildcard(request: RoutableRequest, nowMs: number, best: Candidate<T> | undefined): Candidate<T> | undefined {
    const { host } = request;
    // A wildcard stands for at least one character, so the host's first is never part of the suffix.
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
