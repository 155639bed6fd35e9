import type { Condition, Pattern, Test } from "../decide/condition.ts";

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

/** What becomes of a path: another one whole, or another prefix in place of the one that the route matched. */
export type PathChange =
  | { readonly kind: "path"; readonly path: string }
  /** Both without a trailing slash: the empty text is the prefix of every path. */
  | { readonly kind: "prefix"; readonly from: string; readonly to: string };

/** Puts the new prefix in place of the old one by segment, so that `/api` and `/api/x` become `/new` and `/new/x`. */
export function changePath(change: PathChange, path: string): string {
  if (change.kind === "path") return change.path;
  const { from, to } = change;
  if (!isBelow(from, path)) return path;
  const changed = to + path.slice(from.length);
  return changed === "" ? "/" : changed;
}

/** Whether a path is this prefix or below it; the prefix has no trailing slash. */
function isBelow(prefix: string, path: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === slash);
}

const slash = 0x2f;

/** `/api/` and `/api` are one prefix; that of everything, `/`, becomes the empty text. */
export function withoutTrailingSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Where a route sends its clients; what is undefined stays as the client asked for it. */
export interface RedirectSpec {
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: Scheme | undefined;
  /** Lower case, an IPv6 address in brackets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path: PathChange | undefined;
}

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

/** What is done to the header fields of a message. Names are in lower case. */
export interface HeaderEditsSpec {
  /** Taken out, whoever sent them. Those that are set are among them: what came never stands in for a value of ours. */
  readonly removed: readonly string[];
  /** Appended, in this order. */
  readonly added: readonly { readonly name: string; readonly value: Template }[];
}

/** A fact of a request that a header's value may name. */
export type TemplateFact =
  | { readonly kind: "attribute"; readonly index: number; readonly name: string }
  | {
      readonly kind: "version" | "route" | "service" | "release" | "requestId" | "clientAddress" | "host" | "path";
    };

/** A value with facts in it: literal texts as bytes (Latin-1), and what stands between them. */
export type Template = readonly (string | TemplateFact)[];

/** How many requests of one requester a route takes, by each worker. */
export interface RateLimitSpec {
  /** Who counts as one; a request without the attribute counts by its client's address. */
  readonly by:
    | { readonly kind: "clientAddress" }
    | { readonly kind: "attribute"; readonly index: number; readonly name: string };
  readonly requests: number;
  readonly perMs: number;
  /** How many may come at once after a rest. */
  readonly burst: number;
}

/** Which requests a fault strikes. */
export interface FaultTarget {
  /** Of the requests that meet the condition, 0 to 100; drawn for each anew. */
  readonly percent: number;
  readonly when: Condition | undefined;
}

/** What is done wrong on purpose. */
export interface FaultSpec {
  readonly delay: (FaultTarget & { readonly ms: number }) | undefined;
  readonly abort: (FaultTarget & { readonly status: number }) | undefined;
}
