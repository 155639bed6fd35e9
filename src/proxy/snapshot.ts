import type { CompiledConfig } from "../config/compiled-config.ts";
import type { AddressRange } from "../decide/ip-address.ts";
import type { Release } from "../decide/release.ts";
import type { CookieNames } from "../http/cookies.ts";
import type { AttributeTable } from "../identify/attributes.ts";
import type { ListenerStats, ReleaseStats, RequestStats } from "../observe/stats-registry.ts";
import type { RedirectSpec } from "../route/route-spec.ts";
import type { RouteTable } from "../route/route-table.ts";
import type { Timeouts } from "../upstream/service-spec.ts";
import type { Fault } from "./fault.ts";
import type { Mirroring } from "./mirror.ts";
import type { Propagation } from "./propagation.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { RequestHeaderRules } from "./request-header-rules.ts";
import type { RouteTransforms } from "./route-transforms.ts";
import type { Service } from "./service.ts";

/** A release with the stats that count its decisions and the names it reads from requests. */
export interface ActiveRelease {
  readonly policy: Release;
  readonly stats: ReleaseStats;
}

export type Lane = "fast" | "standard";

interface AnyRoute {
  readonly name: string;
  readonly lane: Lane;
  readonly timeouts: Timeouts;
  /** The largest request body, in bytes; 0: no limit. */
  readonly bodyBytes: number;
  readonly rateLimit: RateLimit | undefined;
  /** For requests that Perch answers itself, and no version serves. */
  readonly ownStats: RequestStats;
}

/** A route to a service. */
export interface ForwardRoute extends AnyRoute {
  readonly redirect: undefined;
  readonly service: Service;
  readonly release: ActiveRelease | undefined;
  /** Copies of its requests for another version; undefined where there are none. */
  readonly mirroring: Mirroring | undefined;
  readonly fault: Fault | undefined;
  /** Header edits and rewrites; undefined where there are none. */
  readonly transforms: RouteTransforms | undefined;
  /** By the index of the version served. */
  readonly stats: readonly RequestStats[];
}

/** A route that Perch answers itself. */
export interface RedirectRoute extends AnyRoute {
  readonly redirect: RedirectSpec;
  readonly service: undefined;
  readonly release: undefined;
  readonly mirroring: undefined;
  readonly transforms: undefined;
  readonly fault: undefined;
  readonly stats: undefined;
}

export type Route = ForwardRoute | RedirectRoute;

/**
 * The compiled configuration that a request holds from start to end. Frozen; what changes while requests run (stats,
 * endpoints' states) is reached through it but lives beside it, and outlives it where the next one names it again.
 */
export interface Snapshot {
  readonly config: CompiledConfig;
  readonly hash: string;
  readonly trustedProxies: readonly AddressRange[];
  readonly attributes: AttributeTable;
  readonly routes: RouteTable<Route>;
  readonly services: ReadonlyMap<string, Service>;
  readonly releases: ReadonlyMap<string, ActiveRelease>;
  readonly requestHeaders: RequestHeaderRules;
  readonly propagation: Propagation;
  /** Pins and override cookies of every release: never sent upstream, whatever the route. */
  readonly ownCookies: CookieNames;
  /** The same, and the cookies that only a trusted caller may set: withheld from what anyone else sends. */
  readonly untrustedCookies: CookieNames;
  /** Parameters of testers' links, of every release; never sent upstream. */
  readonly ownParameters: ReadonlySet<string>;
  /** The same, and the parameters that only a trusted caller may set. */
  readonly untrustedParameters: ReadonlySet<string>;
  /** For requests that met no route. */
  readonly noRouteStats: RequestStats;
  /** By the listener's name. */
  readonly listenerStats: ReadonlyMap<string, ListenerStats>;
}
