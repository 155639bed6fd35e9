import type { Facts } from "../decide/facts.ts";
import { compileTest, type ValueTest } from "../decide/test-value.ts";
import type { PathMatch, RouteMatch, Scheme } from "./route-match.ts";

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
