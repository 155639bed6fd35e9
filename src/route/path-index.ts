import { compileTest, matchesPattern, type ValueTest } from "../decide/compile-condition.ts";
import type { Facts } from "../decide/facts.ts";
import { withoutTrailingSlash } from "../decide/path-prefix.ts";
import type { PatternScope } from "../decide/pattern.ts";
import type { PathMatch, RouteMatch, Scheme } from "./route-spec.ts";

/** The parts of a request that routes match. */
export type RoutableRequest = Pick<Facts, "method" | "host" | "path" | "header" | "query"> &
  PatternScope & {
    /** The name of the listener at which it arrived; empty if unknown. */
    readonly listener: string;
    /** Whether the client used https. */
    readonly isHttps: boolean;
    /** Whether the path starts with a slash: every one but that of `OPTIONS *`. */
    readonly isRooted: boolean;
  };

type Candidates<T> = Candidate<T>[];

const slash = 0x2f;

/** The routes of one host by path: exact paths, prefixes by segment, and those that must be tried one by one. */
export class PathIndex<T> {
  // Created on demand: with ten thousand hosts, empty maps would cost memory and cache misses.
  #exact: Map<string, Candidates<T>> | undefined;
  #prefixes: PartIndex<Candidates<T>> | undefined;
  /** The prefix `/`, by far the most common, needs no look-up. */
  #root: Candidates<T> | undefined;
  #others: Candidates<T> | undefined;

  /** Candidates must be added in file order. */
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

  /** The first candidate in file order that matches the request and precedes `best`, or else `best`. */
  best(request: RoutableRequest, nowMs: number, best: Candidate<T> | undefined): Candidate<T> | undefined {
    // The path is read only where it matters: in the fast lane its text is made then.
    let found = this.#exact === undefined ? best : firstMatch(this.#exact.get(request.path), request, nowMs, best);
    if (this.#prefixes !== undefined) found = bestPrefix(this.#prefixes, request, nowMs, found);
    if (this.#root !== undefined && request.isRooted) found = firstMatch(this.#root, request, nowMs, found);
    return firstMatch(this.#others, request, nowMs, found);
  }
}

/** Looks up the path up to each segment's end, at most as far as the longest prefix. */
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

/** Lists are in file order, so the first match is the list's best, and candidates after `best` cannot win. */
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

interface Entry<V> {
  readonly text: string;
  readonly value: V;
  /** The next entry with the same hash. */
  readonly next: Entry<V> | undefined;
}

/**
 * Values by prefix or suffix of a longer text. The caller computes the hash incrementally while it reads, so a look-up
 * creates no substring and hashes no string. The keys come from the configuration, so clients cannot make them collide.
 */
export class PartIndex<V> {
  readonly #entries = new Map<number, Entry<V>>();
  readonly #direction: "forwards" | "backwards";
  #longest = 0;

  /** `direction` is that of the incremental hash: forwards for prefixes, backwards for suffixes. */
  constructor(direction: "forwards" | "backwards") {
    this.#direction = direction;
  }

  /** Length of the longest key; 0 if there is none. */
  get longest(): number {
    return this.#longest;
  }

  /** The value of this key, created if it does not exist. */
  at(text: string, make: () => V): V {
    let hash = emptyHash;
    for (let at = 0; at < text.length; at++) {
      hash = extendHash(hash, text.charCodeAt(this.#direction === "forwards" ? at : text.length - 1 - at));
    }
    const existing = this.find(text, 0, text.length, hash);
    if (existing !== undefined) return existing;
    const value = make();
    this.#entries.set(hash, { text, value, next: this.#entries.get(hash) });
    this.#longest = Math.max(this.#longest, text.length);
    return value;
  }

  /** The value of the part of `whole` from `start` to before `end`, which has this hash. */
  find(whole: string, start: number, end: number, hash: number): V | undefined {
    for (let entry = this.#entries.get(hash); entry !== undefined; entry = entry.next) {
      if (entry.text.length === end - start && whole.startsWith(entry.text, start)) return entry.value;
    }
    return undefined;
  }
}

/** The hash of the empty text: FNV-1a's offset basis. */
export const emptyHash = 0x811c9dc5 | 0;

/** FNV-1a over UTF-16 code units. */
export function extendHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

interface NamedTest {
  readonly name: string;
  readonly test: ValueTest;
}

/** A route with the conditions that remain once host and path have matched. */
export class Candidate<T> {
  readonly target: T;
  /** The position in the file; of two matching routes the lower wins. */
  readonly order: number;
  readonly path: PathMatch | undefined;
  readonly #listeners: readonly string[];
  readonly #scheme: Scheme | undefined;
  readonly #methods: readonly string[];
  readonly #headers: readonly NamedTest[];
  readonly #query: readonly NamedTest[];
  /** True if no conditions remain. */
  readonly #takesAll: boolean;

  constructor(match: RouteMatch, target: T, order: number) {
    this.target = target;
    this.order = order;
    this.path = match.path;
    this.#listeners = match.listeners;
    this.#scheme = match.scheme;
    this.#methods = match.methods;
    this.#headers = match.headers.map(({ name, test }) => ({ name: name.toLowerCase(), test: compileTest(test) }));
    this.#query = match.query.map(({ name, test }) => ({ name, test: compileTest(test) }));
    const conditions = this.#listeners.length + this.#methods.length + this.#headers.length + this.#query.length;
    this.#takesAll = conditions === 0 && match.path?.kind !== "regex" && match.scheme === undefined;
  }

  /** Cheap conditions first, then the pattern, headers and query parameters. */
  takes(request: RoutableRequest, nowMs: number): boolean {
    if (this.#takesAll) return true;
    if (this.#listeners.length > 0 && !this.#listeners.includes(request.listener)) return false;
    if (this.#methods.length > 0 && !this.#methods.includes(request.method)) return false;
    if (this.#scheme !== undefined && (this.#scheme === "https") !== request.isHttps) return false;
    if (this.path?.kind === "regex" && !matchesPattern(this.path.pattern, request.path, request)) return false;
    for (const { name, test } of this.#headers) if (!test(request.header(name), nowMs, request)) return false;
    for (const { name, test } of this.#query) if (!test(request.query(name), nowMs, request)) return false;
    return true;
  }
}
