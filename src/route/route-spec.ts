import type { Condition, Test } from "../decide/condition.ts";
import { isBelow } from "../decide/path-prefix.ts";
import type { Pattern } from "../decide/pattern.ts";

export type PathMatch =
  | { readonly kind: "exact"; readonly path: string }
  /** By segment: `/api` matches `/api` and `/api/x`, not `/apix`; a trailing slash of the prefix is ignored. */
  | { readonly kind: "prefix"; readonly path: string }
  | { readonly kind: "regex"; readonly pattern: Pattern };

export type Scheme = "http" | "https";

/** The requests that a route matches. All conditions must hold; an empty list is no condition. */
export interface RouteMatch {
  /** The listeners at which it may have arrived, by name. */
  readonly listeners: readonly string[];
  /** Lower case; `*.example.com` matches any host below example.com, not example.com itself. */
  readonly hosts: readonly string[];
  /** The scheme that the client used. */
  readonly scheme: Scheme | undefined;
  readonly path: PathMatch | undefined;
  /** Upper case. */
  readonly methods: readonly string[];
  readonly headers: readonly { readonly name: string; readonly test: Test }[];
  readonly query: readonly { readonly name: string; readonly test: Test }[];
}

/** Replaces the whole path, or the prefix that the route matched. */
export type PathChange =
  | { readonly kind: "path"; readonly path: string }
  /** Both without a trailing slash; empty for the prefix `/`. */
  | { readonly kind: "prefix"; readonly from: string; readonly to: string };

/** The Location of a redirect; undefined parts are taken from the request. */
export interface RedirectSpec {
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: Scheme | undefined;
  /** Lower case, an IPv6 address in brackets. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path: PathChange | undefined;
}

/** An origin that a browser sends, as it writes it. */
export type OriginSpec =
  | { readonly kind: "exact"; readonly origin: string }
  /** Any host between the two, which has no other characters than a host name's. */
  | { readonly kind: "below"; readonly start: string; readonly end: string };

/** Which pages of other origins may use a route. */
export interface CorsSpec {
  readonly anyOrigin: boolean;
  readonly origins: readonly OriginSpec[];
  /** Upper case, or `*`. */
  readonly methods: readonly string[];
  /** Lower case, or `*`. */
  readonly headers: readonly string[];
  readonly exposedHeaders: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

/** Replaces by regular expression. */
export interface PathPattern {
  readonly source: string;
  /** Paths up to this length are rewritten if they match. Longer ones could hold the event loop. */
  readonly sureLength: number;
  /** The path unchanged if it does not match; undefined if it is too costly to find out, or to replace the match. */
  replace(path: string): string | undefined;
}

/** How a request's path, host and cookies are rewritten for the upstream. */
export interface RewriteSpec {
  readonly path: PathChange | { readonly kind: "regex"; readonly pattern: PathPattern } | undefined;
  /** The upstream's Host: a string, or the endpoint's name. Undefined: the client's. */
  readonly host: { readonly kind: "text"; readonly text: string } | { readonly kind: "endpoint" } | undefined;
  /** Replaces the Domain of the upstream's cookies; `none` removes it. */
  readonly cookieDomain: string | undefined;
  /** Whether the upstream's addresses and cookie paths in responses are mapped back to the client's. */
  readonly responses: "map" | "keep";
}

/** Changes to the header fields of a message. Names are lower case. */
export interface HeaderEditsSpec {
  /** Removed, from any sender. Includes the names that are set, so that a received value never replaces a set one. */
  readonly removed: readonly string[];
  /** Appended, in this order. */
  readonly added: readonly { readonly name: string; readonly value: Template }[];
}

/** A fact of the request that a header template may contain. */
export type TemplateFact =
  | { readonly kind: "attribute"; readonly index: number; readonly name: string }
  | {
      readonly kind: "version" | "route" | "service" | "release" | "requestId" | "clientAddress" | "host" | "path";
    };

/** A header value's literal parts, as Latin-1 bytes, and facts, in order. */
export type Template = readonly (string | TemplateFact)[];

/** Where several processes count together. */
export interface TokenStoreSpec {
  readonly host: string;
  readonly port: number;
  /** The number of the database in it. */
  readonly database: number;
  readonly username: string | undefined;
  /** UTF-8. */
  readonly password: Uint8Array | undefined;
  readonly tls: { readonly ca: Uint8Array | undefined } | undefined;
  /** What the keys begin with: those with another prefix count apart. */
  readonly prefix: string;
  /** How long a request waits for an answer. */
  readonly answerMs: number;
  /** Identifies these settings: a store is kept over reloads while they are the same. */
  readonly digest: string;
}

/** A route's limit of requests per requester. */
export interface RateLimitSpec {
  /** The key. A request without the attribute is counted by its client address. */
  readonly by:
    | { readonly kind: "clientAddress" }
    | { readonly kind: "attribute"; readonly index: number; readonly name: string };
  readonly requests: number;
  readonly perMs: number;
  /** How many requests may arrive at once after a pause. */
  readonly burst: number;
  /** Where all processes count together. Undefined: each worker counts by itself. */
  readonly shared: TokenStoreSpec | undefined;
}

/** The requests that get a fault. */
export interface FaultTarget {
  /** Percentage of the requests that meet the condition, 0 to 100; drawn per request. */
  readonly percent: number;
  readonly when: Condition | undefined;
}

/** Fault injection. */
export interface FaultSpec {
  readonly delay: (FaultTarget & { readonly ms: number }) | undefined;
  readonly abort: (FaultTarget & { readonly status: number }) | undefined;
}

/** Replaces a prefix by segment, so that `/api` and `/api/x` become `/new` and `/new/x`. */
export function changePath(change: PathChange, path: string): string {
  if (change.kind === "path") return change.path;
  const { from, to } = change;
  if (!isBelow(from, path)) return path;
  const changed = to + path.slice(from.length);
  return changed === "" ? "/" : changed;
}
