import type { Pattern, Test } from "../decide/condition.ts";

export type PathMatch =
  | { readonly kind: "exact"; readonly path: string }
  /** By segment: `/api` matches `/api` and `/api/x`, never `/apix`; a trailing slash of the prefix changes nothing. */
  | { readonly kind: "prefix"; readonly path: string }
  | { readonly kind: "regex"; readonly pattern: Pattern };

export type Scheme = "http" | "https";

/** Which requests a route takes: all of these must hold; an empty list asks nothing. */
export interface RouteMatch {
  /** Lower case; `*.example.com` stands for any host below example.com, not for example.com itself. */
  readonly hosts: readonly string[];
  /** How the client came. */
  readonly scheme: Scheme | undefined;
  readonly path: PathMatch | undefined;
  /** Upper case. */
  readonly methods: readonly string[];
  readonly headers: readonly { readonly name: string; readonly test: Test }[];
  readonly query: readonly { readonly name: string; readonly test: Test }[];
}
