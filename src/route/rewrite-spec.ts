import type { PathChange } from "./path-change.ts";

/** Another path by a pattern; the very path where the pattern is not found. */
export interface PathPattern {
  readonly source: string;
  replace(path: string): string;
}

/** What becomes of a request's address on its way upstream. */
export interface RewriteSpec {
  readonly path: PathChange | { readonly kind: "regex"; readonly pattern: PathPattern } | undefined;
  /** The Host that the upstream gets: a text, or the endpoint's own name. Undefined: the one that the client asked for. */
  readonly host: { readonly kind: "text"; readonly text: string } | { readonly kind: "endpoint" } | undefined;
  /** In place of the Domain of the upstream's cookies; `none` takes it out. */
  readonly cookieDomain: string | undefined;
}
