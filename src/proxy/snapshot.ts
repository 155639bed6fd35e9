import type { CompiledConfig } from "../config/compiled-config.ts";
import type { AddressRange } from "../decide/ip-address.ts";
import type { Release } from "../decide/release.ts";
import type { CookieNames } from "../http/cookies.ts";
import type { LookAlikes } from "../http/look-alikes.ts";
import type { AttributeTable } from "../identify/attributes.ts";
import type { TapSlot } from "../observe/rollout/rollout-taps.ts";
import type { ListenerStats, ReleaseStats, RequestStats } from "../observe/stats-registry.ts";
import type { RedirectSpec } from "../route/route-spec.ts";
import type { RouteTable } from "../route/route-table.ts";
import type { Timeouts } from "../upstream/service-spec.ts";
import type { Cors } from "./cors.ts";
import type { Fault } from "./fault.ts";
import type { Mirroring } from "./mirror.ts";
import type { Propagation } from "./propagation.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { RequestHeaderRules } from "./request-header-rules.ts";
import type { RouteTransforms } from "./route-transforms.ts";
import type { Service } from "./service.ts";
import type { UpstreamPath } from "./upstream-path.ts";

/** A release with the stats that count its decisions and the names it reads from requests. */
export interface ActiveRelease {
  readonly policy: Release;
  readonly stats: ReleaseStats;
  /** Its rollout, if one runs. */
  readonly tap: TapSlot;
}

export type Lane = "fast" | "standard";

interface AnyRoute {
  readonly name: string;
  readonly lane: Lane;
  readonly timeouts: Timeouts;
  /** The largest request body, in bytes; 0: no limit. */
  readonly bodyBytes: number;
  readonly rateLimit: RateLimit | undefined;
  readonly cors: Cors | undefined;
  /** For requests that end with a local reply before a version is chosen. */
  readonly localReplyStats: RequestStats;
}

/** A route to a service. */
export interface ForwardRoute extends AnyRoute {
  readonly redirect: undefined;
  readonly service: Service;
  readonly release: ActiveRelease | undefined;
  /** Sends mirrored requests to another version; undefined if not configured. */
  readonly mirroring: Mirroring | undefined;
  readonly fault: Fault | undefined;
  /** Header edits and rewrites; undefined if there are none. */
  readonly transforms: RouteTransforms | undefined;
  /** Undefined if the path is sent as it was matched. */
  readonly upstreamPath: UpstreamPath | undefined;
  /** Whether no shared cache may store its responses: a release chooses the version. */
  readonly isPrivate: boolean;
  /** By the index of the served version. */
  readonly stats: readonly RequestStats[];
}

/** A route that redirects its clients. */
export interface RedirectRoute extends AnyRoute {
  readonly redirect: RedirectSpec;
  readonly service: undefined;
  readonly release: undefined;
  readonly mirroring: undefined;
  readonly transforms: undefined;
  readonly upstreamPath: undefined;
  readonly isPrivate: boolean;
  readonly fault: undefined;
  readonly stats: undefined;
}

export type Route = ForwardRoute | RedirectRoute;

/**
 * The compiled configuration that a request holds from start to end. Frozen. State that changes while requests run
 * (stats, endpoint health) is reached through it, and is shared with the next snapshot if that names the same object.
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
  /** `ownCookies` and the cookies that only a trusted caller may set: removed from the requests of other callers. */
  readonly untrustedCookies: CookieNames;
  /** Override query parameters of every release; never sent upstream. */
  readonly ownParameters: ReadonlySet<string>;
  /** `ownParameters` and the parameters that only a trusted caller may set. */
  readonly untrustedParameters: ReadonlySet<string>;
  /** Other spellings of the parameters and cookies that only a trusted caller may set; undefined if there are none. */
  readonly parameterLookAlikes: LookAlikes | undefined;
  readonly cookieLookAlikes: LookAlikes | undefined;
  /** For requests that no route matched. */
  readonly noRouteStats: RequestStats;
  readonly listenerStats: ReadonlyMap<string, ListenerStats>;
}
