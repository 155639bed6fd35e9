import type { CompiledConfig, RouteSpec } from "../config/compiled-config.ts";
import type { AddressRange } from "../decide/ip-address.ts";
import { Release } from "../decide/release.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import { CookieNames } from "../http/cookies.ts";
import { type AttributeErrorCause, placeFailures, textFailures, tokenFailures } from "../identify/attribute-error.ts";
import { type AttributeSpec, AttributeTable, type Lookups } from "../identify/attributes.ts";
import { JwtVerifier } from "../identify/jwt-verifier.ts";
import type { PublishedKeyGeneration } from "../identify/published-keys.ts";
import { otherVersion } from "../observe/release-stats.ts";
import type {
  AttributeStats,
  ListenerStats,
  ReleaseStats,
  RequestStats,
  StatsGeneration,
  UpstreamStats,
} from "../observe/stats-registry.ts";
import type { RedirectSpec } from "../route/route-spec.ts";
import { RouteTable } from "../route/route-table.ts";
import { type Balancer, createBalancer } from "../upstream/balancers.ts";
import type { ConcurrencyLimiter } from "../upstream/concurrency-limiter.ts";
import type { EndpointSet } from "../upstream/endpoint.ts";
import type { EndpointGeneration } from "../upstream/endpoint-registry.ts";
import type { ServiceGeneration } from "../upstream/service-registry.ts";
import {
  questionsOf,
  type ServiceSpec,
  type Timeouts,
  type UpstreamProtocol,
  type UpstreamTls,
  type VersionSpec,
} from "../upstream/service-spec.ts";
import { Fault } from "./fault.ts";
import { type Lane, laneOf } from "./lane-choice.ts";
import { Mirroring } from "./mirror.ts";
import { Propagation } from "./propagation.ts";
import { RateLimit, type RateLimitGeneration } from "./rate-limit.ts";
import { RequestHeaderRules } from "./request-header-rules.ts";
import { type RetryPolicy, retryPolicy } from "./retry-policy.ts";
import { RouteTransforms } from "./route-transforms.ts";

/** One version of a service, ready to be sent requests. */
export interface ServiceVersion {
  readonly name: string;
  /** Its place among the service's versions; a route's stats are found by it. */
  readonly index: number;
  /** DNS may change which they are while the snapshot stands. */
  readonly endpoints: EndpointSet;
  readonly balancer: Balancer;
  readonly stats: UpstreamStats;
  /** Where the version has limits. */
  readonly limiter: ConcurrencyLimiter | undefined;
  /** To each endpoint. */
  readonly maxConnections: number;
}

export interface Service {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly defaultVersion: ServiceVersion;
  readonly versions: ReadonlyMap<string, ServiceVersion>;
  readonly timeouts: Timeouts;
  /** Whether others run it, who are told nothing of our releases. */
  readonly external: boolean;
  readonly protocol: UpstreamProtocol;
  readonly retries: RetryPolicy;
  readonly tls: UpstreamTls | undefined;
}

/** A release with the stats that count its decisions and the names it reads from requests. */
export interface ActiveRelease {
  readonly policy: Release;
  readonly stats: ReleaseStats;
}

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

/** What a snapshot is built on: generations that are committed only once the whole snapshot stands. */
export interface SnapshotParts {
  readonly endpoints: EndpointGeneration;
  readonly services: ServiceGeneration;
  readonly stats: StatsGeneration;
  readonly keys: PublishedKeyGeneration;
  readonly limits: RateLimitGeneration;
}

export function buildSnapshot(config: CompiledConfig, hash: string, parts: SnapshotParts): Snapshot {
  for (const { name } of questionsOf(config.services)) parts.stats.name(name);
  const services = new Map(config.services.map((spec) => [spec.name, buildService(spec, parts)]));
  const releases = new Map(
    config.releases.map((spec): [string, ActiveRelease] => [
      spec.name,
      Object.freeze({
        policy: new Release(spec),
        stats: parts.stats.release(
          spec.name,
          assignable(spec),
          spec.rules.map((rule) => rule.name),
        ),
      }),
    ]),
  );
  const attributeStats: AttributeStats[] = config.attributes.map((spec) =>
    parts.stats.attribute(spec.name, unusableCauses(spec)),
  );
  const attributes = new AttributeTable(
    config.attributes,
    { attributeError: (index, cause) => attributeStats[index]?.error(cause) },
    lookupsOf(config, parts),
  );
  const routes = config.routes.map((spec) => ({
    match: spec.match,
    target: buildRoute(spec, config, services, releases, parts),
  }));
  const ownCookies = config.releases.flatMap(({ sticky, override }) => [sticky.cookie.name, override?.cookie ?? ""]);
  const ownParameters = new Set(config.releases.flatMap(({ override }) => override?.query ?? []));
  return Object.freeze({
    config,
    hash,
    trustedProxies: config.trustedProxies,
    attributes,
    routes: new RouteTable(routes),
    services,
    releases,
    requestHeaders: new RequestHeaderRules(config),
    propagation: new Propagation(config.releases),
    ownCookies: new CookieNames(ownCookies),
    untrustedCookies: new CookieNames([...ownCookies, ...attributes.untrustedCookies]),
    ownParameters,
    untrustedParameters: new Set([...ownParameters, ...attributes.untrustedQuery]),
    noRouteStats: parts.stats.request("none", "none", "none"),
    listenerStats: new Map(
      config.listeners.map(({ name, tls, proxyProtocol }) => [
        name,
        parts.stats.listener(name, { tls: tls !== undefined, proxyProtocol }),
      ]),
    ),
  });
}

/** What a release can assign, as its stats count it: callers may assign versions that it does not name. */
function assignable({ versions, propagate }: ReleaseSpec): readonly string[] {
  const takesWord = propagate !== undefined && propagate.acceptFrom.length > 0;
  return takesWord && !versions.includes(otherVersion) ? [...versions, otherVersion] : versions;
}

function unusableCauses({ from }: AttributeSpec): readonly AttributeErrorCause[] {
  const reads = (wanted: string) => from.some(({ kind }) => kind === wanted);
  return [...textFailures, ...(reads("jwt") ? tokenFailures : []), ...(reads("geo") ? placeFailures : [])];
}

function lookupsOf({ jwt, geo }: CompiledConfig, { keys }: SnapshotParts): Lookups {
  const published = jwt?.urls.map((url) => keys.keysAt(url)) ?? [];
  return { jwt: jwt && new JwtVerifier(jwt, published), geo };
}

function buildService(spec: ServiceSpec, parts: SnapshotParts): Service {
  const versions = new Map(
    spec.versions.map((version, index): [string, ServiceVersion] => [
      version.name,
      buildVersion(spec, version, index, parts),
    ]),
  );
  return Object.freeze({
    name: spec.name,
    spec,
    defaultVersion: named(versions, spec.defaultVersion),
    versions,
    timeouts: spec.timeouts,
    external: spec.external,
    protocol: spec.protocol,
    tls: spec.tls,
    retries: retryPolicy(spec, parts.services),
  });
}

function buildVersion(service: ServiceSpec, spec: VersionSpec, index: number, parts: SnapshotParts): ServiceVersion {
  const { limits } = service;
  const endpoints = parts.endpoints.set(service.name, spec.name, spec.endpoints);
  return Object.freeze({
    name: spec.name,
    index,
    endpoints,
    balancer: createBalancer(service.balance),
    stats: parts.stats.upstream(service.name, spec.name),
    limiter: limits && parts.services.limiter(service.name, spec.name, limits, endpoints),
    maxConnections: limits?.maxConnections ?? Number.POSITIVE_INFINITY,
  });
}

function buildRoute(
  spec: RouteSpec,
  config: CompiledConfig,
  services: ReadonlyMap<string, Service>,
  releases: ReadonlyMap<string, ActiveRelease>,
  parts: SnapshotParts,
): Route {
  const { name, redirect, fault } = spec;
  const { bodyBytes = config.limits.bodyBytes } = spec;
  const rateLimit =
    spec.rateLimit &&
    new RateLimit(spec.rateLimit, parts.limits.buckets(name, spec.rateLimit), parts.stats.rateLimit(name));
  if (redirect !== undefined) {
    const ownStats = parts.stats.request(name, "none", "none");
    const nothing = {
      service: undefined,
      release: undefined,
      mirroring: undefined,
      transforms: undefined,
      fault: undefined,
      stats: undefined,
    };
    return Object.freeze({
      name,
      redirect,
      lane: "fast",
      timeouts: ownTimeouts,
      bodyBytes,
      rateLimit,
      ownStats,
      ...nothing,
    });
  }
  const service = named(services, spec.service);
  const timeouts = Object.freeze({ ...service.timeouts, ...spec.timeouts });
  const release = spec.release === undefined ? undefined : named(releases, spec.release);
  return Object.freeze({
    name,
    redirect,
    service,
    release,
    mirroring: spec.mirror === "off" ? undefined : mirroringOf(service, release, config, parts),
    transforms: RouteTransforms.of(spec, service, config),
    lane: laneOf(service.spec),
    timeouts,
    bodyBytes,
    rateLimit,
    fault: fault && new Fault(name, fault, parts.stats.fault(name)),
    ownStats: parts.stats.request(name, service.name, "none"),
    stats: Object.freeze(
      [...service.versions.keys()].map((version) => parts.stats.request(name, service.name, version)),
    ),
  });
}

/** A service that lacks the version has nobody to send copies to. */
function mirroringOf(
  service: Service,
  release: ActiveRelease | undefined,
  { mirrors }: CompiledConfig,
  { stats }: SnapshotParts,
): Mirroring | undefined {
  const spec = mirrors.find((mirror) => mirror.release === release?.policy.name);
  const version = spec && service.versions.get(spec.version);
  if (spec === undefined || version === undefined || release === undefined) return undefined;
  const { salt } = release.policy.spec.sticky;
  return new Mirroring(spec, salt, service, version, stats.mirror(spec.release, spec.version));
}
/** Where nothing is forwarded, only the client can be slow. */
const ownTimeouts: Timeouts = Object.freeze({ connectMs: 0, responseHeadersMs: 0, idleMs: 60_000, totalMs: 0 });

/** The configuration was validated, so a missing name is a defect of Perch and must not pass for an empty one. */
function named<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new TypeError(`The compiled configuration names "${name}", which it does not define.`);
  return value;
}
