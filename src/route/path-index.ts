import type { Candidate, RoutableRequest } from "./candidate.ts";
import { emptyHash, extendHash, PartIndex } from "./part-index.ts";
import { withoutTrailingSlash } from "./path-change.ts";
import type { PathMatch } from "./route-match.ts";

const slash = 0x2f;

type Candidates<T> = Candidate<T>[];

/** The routes of one host, found by path: exact paths, prefixes by segment, and those that must be tried one by one. */
export class PathIndex<T> {
  // Made where a route needs them: with ten thousand hosts, what is not there need not be fetched from memory.
  #exact: Map<string, Candidates<T>> | undefined;
  #prefixes: PartIndex<Candidates<T>> | undefined;
  /** Prefix `/`, by far the most common: it needs no look-up. */
  #root: Candidates<T> | undefined;
  #others: Candidates<T> | undefined;

  /** Candidates are to be added in file order. */
  add(candidate: Candidate<T>): void {
    this.#listFor(candidate.path).push(candidate);
  }

  #listFor(path: PathMatch | undefined): Candidates<T> {
    if (path?.kind === "exact") {
      this.#exact ??= new Map();
      const list = this.#exact.get(path.path) ?? [];
      this.#exact.set(path.path, list);
      return list;
    }
    if (path?.kind !== "prefix") {
      this.#others ??= [];
      return this.#others;
    }
    const prefix = withoutTrailingSlash(path.path);
    if (prefix === "") {
      this.#root ??= [];
      return this.#root;
    }
    this.#prefixes ??= new PartIndex("forwards");
    return this.#prefixes.at(prefix, () => []);
  }

  /** The first candidate in file order that takes the request and comes before `best`; `best` where there is none. */
  best(request: RoutableRequest, nowMs: number, best: Candidate<T> | undefined): Candidate<T> | undefined {
    const { path } = request;
    let found = firstMatch(this.#exact?.get(path), request, nowMs, best);
    if (this.#prefixes !== undefined) found = bestPrefix(this.#prefixes, request, nowMs, found);
    if (path.charCodeAt(0) === slash) found = firstMatch(this.#root, request, nowMs, found);
    return firstMatch(this.#others, request, nowMs, found);
  }
}

/** Looks at each end of a segment, and no further than the longest prefix reaches. */
function bestPrefix<T>(
  prefixes: PartIndex<Candidates<T>>,
  request: RoutableRequest,
  nowMs: number,
  best: Candidate<T> | undefined,
): Candidate<T> | undefined {
  const { path } = request;
  const end = Math.min(path.length, prefixes.longest);
  let found = best;
  let hash = emptyHash;
  for (let at = 0; ; at++) {
    const code = at < path.length ? path.charCodeAt(at) : slash;
    if (code === slash) found = firstMatch(prefixes.find(path, 0, at, hash), request, nowMs, found);
    if (at >= end) return found;
    hash = extendHash(hash, code);
  }
}

/** Lists are in file order, so the first that matches is the best of its list, and none after `best` is worth a look. */
function firstMatch<T>(
  list: Candidates<T> | undefined,
  request: RoutableRequest,
  nowMs: number,
  best: Candidate<T> | undefined,
): Candidate<T> | undefined {
  if (list === undefined) return best;
  for (const candidate of list) {
    if (best !== undefined && candidate.order >= best.order) return best;
    if (candidate.takes(request, nowMs)) return candidate;
  }
  return best;
}
