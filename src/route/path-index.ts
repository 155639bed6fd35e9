import { compileTest, type ValueTest } from "../decide/compile-condition.ts";
import type { Facts } from "../decide/facts.ts";
import { type PathMatch, type RouteMatch, type Scheme, withoutTrailingSlash } from "./route-spec.ts";

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

/** What `find` looks for: a value under the text of some part of a longer text. */
interface Entry<V> {
  readonly text: string;
  readonly value: V;
  /** The next entry of the same hash. */
  readonly next: Entry<V> | undefined;
}

/**
 * Values under texts, found by a hash of a part of a longer text that the caller carries along as it reads: so neither a
 * substring is cut nor a string hashed for each part that is tried. The texts are the configuration's, never a client's:
 * nobody outside can make them collide.
 */
export class PartIndex<V> {
  readonly #entries = new Map<number, Entry<V>>();
  readonly #direction: "forwards" | "backwards";
  #longest = 0;

  /** `direction`: which way hashes are carried along, over prefixes or over suffixes. */
  constructor(direction: "forwards" | "backwards") {
    this.#direction = direction;
  }

  /** Length of the longest text; 0 where there is none. */
  get longest(): number {
    return this.#longest;
  }

  /** The value under this text, made where there is none yet. */
  at(text: string, make: () => V): V {
    let hash = emptyHash;
    for (let at = 0; at < text.length; at++) {
      hash = extendHash(hash, text.charCodeAt(this.#direction === "forwards" ? at : text.length - 1 - at));
    }
    const known = this.find(text, 0, text.length, hash);
    if (known !== undefined) return known;
    const value = make();
    this.#entries.set(hash, { text, value, next: this.#entries.get(hash) });
    this.#longest = Math.max(this.#longest, text.length);
    return value;
  }

  /** The value under the part of `whole` from `start` to before `end`, whose hash this is. */
  find(whole: string, start: number, end: number, hash: number): V | undefined {
    for (let entry = this.#entries.get(hash); entry !== undefined; entry = entry.next) {
      if (entry.text.length === end - start && whole.startsWith(entry.text, start)) return entry.value;
    }
    return undefined;
  }
}

/** The hash of no characters, FNV-1a's offset basis. */
export const emptyHash = 0x811c9dc5 | 0;

/** FNV-1a by UTF-16 code units. */
export function extendHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

/** What routing asks of a request. */
export type RoutableRequest = Pick<Facts, "method" | "host" | "path" | "header" | "query"> & {
  /** Whether the client came by https. */
  readonly isHttps: boolean;
};

interface NamedTest {
  readonly name: string;
  readonly test: ValueTest;
}

/** A route, and the part of its match that is left to judge once host and path have led to it. */
export class Candidate<T> {
  readonly target: T;
  /** Its place in the file: of two that match, the lower wins. */
  readonly order: number;
  readonly path: PathMatch | undefined;
  readonly #scheme: Scheme | undefined;
  readonly #methods: readonly string[];
  readonly #headers: readonly NamedTest[];
  readonly #query: readonly NamedTest[];
  /** True where nothing is left to judge. */
  readonly #takesAll: boolean;

  constructor(match: RouteMatch, target: T, order: number) {
    this.target = target;
    this.order = order;
    this.path = match.path;
    this.#scheme = match.scheme;
    this.#methods = match.methods;
    this.#headers = match.headers.map(({ name, test }) => ({ name: name.toLowerCase(), test: compileTest(test) }));
    this.#query = match.query.map(({ name, test }) => ({ name, test: compileTest(test) }));
    const conditions = this.#methods.length + this.#headers.length + this.#query.length;
    this.#takesAll = conditions === 0 && match.path?.kind !== "regex" && match.scheme === undefined;
  }

  /** Cheap questions come first: a pattern and header tests are asked only of requests that could be taken. */
  takes(request: RoutableRequest, nowMs: number): boolean {
    if (this.#takesAll) return true;
    if (this.#methods.length > 0 && !this.#methods.includes(request.method)) return false;
    if (this.#scheme !== undefined && (this.#scheme === "https") !== request.isHttps) return false;
    if (this.path?.kind === "regex" && !this.path.pattern.test(request.path)) return false;
    for (const { name, test } of this.#headers) if (!test(request.header(name), nowMs)) return false;
    for (const { name, test } of this.#query) if (!test(request.query(name), nowMs)) return false;
    return true;
  }
}
