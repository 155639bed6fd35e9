import type { CompiledConfig, RouteSpec } from "../config/compiled-config.ts";
import { Release } from "../decide/release.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import { CookieNames } from "../http/cookies.ts";
import { LookAlikes } from "../http/look-alikes.ts";
import { type AttributeErrorCause, placeFailures, textFailures, tokenFailures } from "../identify/attribute-error.ts";
import { type AttributeSpec, AttributeTable, type Lookups } from "../identify/attributes.ts";
import { JwtVerifier } from "../identify/jwt-verifier.ts";
import type { PublishedKeyGeneration } from "../identify/published-keys.ts";
import { otherVersion } from "../observe/release-stats.ts";
import type { RolloutTaps } from "../observe/rollout/rollout-taps.ts";
import type { AttributeStats, StatsGeneration } from "../observe/stats-registry.ts";
import type { RateLimitSpec } from "../route/route-spec.ts";
import { type RouteEntry, RouteTable } from "../route/route-table.ts";
import { createBalancer } from "../upstream/balancers.ts";
import type { EndpointGeneration } from "../upstream/endpoint-registry.ts";
import type { ServiceGeneration } from "../upstream/service-registry.ts";
import { questionsOf, type ServiceSpec, schemeOf, type Timeouts, type VersionSpec } from "../upstream/service-spec.ts";
import { Cors } from "./cors.ts";
import { Fault } from "./fault.ts";
import { Mirroring } from "./mirror.ts";
import { Propagation } from "./propagation.ts";
import { RateLimit, type RateLimitGeneration } from "./rate-limit.ts";
import { RequestHeaderRules } from "./request-header-rules.ts";
import { retryPolicy } from "./retry-policy.ts";
import { RouteTransforms } from "./route-transforms.ts";
import type { Service, ServiceVersion } from "./service.ts";
import type { ActiveRelease, Lane, Route, Snapshot } from "./snapshot.ts";
import { storeName } from "./token-store.ts";
import { UpstreamPath } from "./upstream-path.ts";

/** The new generations that a snapshot is built from. They are committed only after the whole build succeeds. */
export interface SnapshotParts {
  readonly endpoints: EndpointGeneration;
  readonly services: ServiceGeneration;
  readonly stats: StatsGeneration;
  readonly keys: PublishedKeyGeneration;
  readonly limits: RateLimitGeneration;
  readonly taps: RolloutTaps;
}

/**
 * Builds a snapshot in steps, so that a thread that serves can do other things between them. Of `before`, the active
 * snapshot, it keeps every service, release and route whose spec is the same object, with all that it depends on.
 */
export function* buildSnapshot(
  config: CompiledConfig,
  hash: string,
  parts: SnapshotParts,
  before: Snapshot | undefined,
): Generator<undefined, Snapshot> {
  for (const { name } of questionsOf(config.services)) parts.stats.name(name);
  yield;
  const services = yield* buildServices(config.services, parts, before);
  const releases = yield* buildReleases(config.releases, parts, before);
  const attributes = buildAttributes(config, parts);
  yield;
  const routes = yield* buildRoutes(config, services, releases, parts, before);
  const requestHeaders = new RequestHeaderRules(config);
  yield;
  const ownCookies = config.releases.flatMap(({ sticky, override }) => [sticky.cookie.name, override?.cookie ?? ""]);
  const ownParameters = new Set(config.releases.flatMap(({ override }) => override?.query ?? []));
  return Object.freeze({
    config,
    hash,
    trustedProxies: config.trustedProxies,
    attributes,
    routes,
    services,
    releases,
    requestHeaders,
    propagation: new Propagation(config.releases),
    ownCookies: new CookieNames(ownCookies),
    untrustedCookies: new CookieNames([...ownCookies, ...attributes.untrustedCookies]),
    ownParameters,
    untrustedParameters: new Set([...ownParameters, ...attributes.untrustedQuery]),
    parameterLookAlikes: LookAlikes.of(attributes.untrustedQuery),
    cookieLookAlikes: LookAlikes.of(attributes.untrustedCookies),
    noRouteStats: parts.stats.request("none", "none", "none"),
    listenerStats: new Map(
      config.listeners.map(({ name, tls, proxyProtocol }) => [
        name,
        parts.stats.listener(name, { tls: tls !== undefined, proxyProtocol }),
      ]),
    ),
  });
}

function buildAttributes(config: CompiledConfig, parts: SnapshotParts): AttributeTable {
  const attributeStats: AttributeStats[] = config.attributes.map((spec) =>
    parts.stats.attribute(spec.name, unusableCauses(spec)),
  );
  const patternStats = parts.stats.pattern();
  return new AttributeTable(
    config.attributes,
    {
      attributeError: (index, cause) => attributeStats[index]?.error(cause),
      patternSkipped: () => patternStats.skipped.value++,
    },
    lookupsOf(config, parts),
  );
}

function* buildReleases(
  specs: CompiledConfig["releases"],
  parts: SnapshotParts,
  before: Snapshot | undefined,
): Generator<undefined, ReadonlyMap<string, ActiveRelease>> {
  const releases = new Map<string, ActiveRelease>();
  for (const spec of specs) {
    releases.set(spec.name, buildRelease(spec, parts, before?.releases.get(spec.name)));
    yield;
  }
  return releases;
}

function buildRelease(spec: ReleaseSpec, parts: SnapshotParts, before: ActiveRelease | undefined): ActiveRelease {
  const rules = spec.rules.map((rule) => rule.name);
  const stats = parts.stats.release(spec.name, assignable(spec), rules);
  if (before?.policy.spec === spec && before.stats === stats) return before;
  return Object.freeze({ policy: new Release(spec), stats, tap: parts.taps.slot(spec.name) });
}

/** The versions that a release's stats count. Callers may propagate versions that it does not name. */
function assignable({ versions, propagate }: ReleaseSpec): readonly string[] {
  const acceptsPropagated = propagate !== undefined && propagate.acceptFrom.length > 0;
  return acceptsPropagated && !versions.includes(otherVersion) ? [...versions, otherVersion] : versions;
}

function unusableCauses({ from }: AttributeSpec): readonly AttributeErrorCause[] {
  const reads = (wanted: string) => from.some(({ kind }) => kind === wanted);
  return [...textFailures, ...(reads("jwt") ? tokenFailures : []), ...(reads("geo") ? placeFailures : [])];
}

function lookupsOf({ jwt, geo }: CompiledConfig, { keys }: SnapshotParts): Lookups {
  const published = jwt?.urls.map((url) => keys.keysAt(url)) ?? [];
  return { jwt: jwt && new JwtVerifier(jwt, published), geo };
}

function* buildServices(
  specs: readonly ServiceSpec[],
  parts: SnapshotParts,
  before: Snapshot | undefined,
): Generator<undefined, ReadonlyMap<string, Service>> {
  const services = new Map<string, Service>();
  for (const spec of specs) {
    const known = before?.services.get(spec.name);
    services.set(spec.name, known?.spec === spec ? keepService(known, parts) : yield* buildService(spec, parts));
    yield;
  }
  return services;
}

/** The same service, for which the new generations give the same objects. */
function keepService(service: Service, parts: SnapshotParts): Service {
  const { name, spec, versions } = service;
  for (const version of versions.values()) {
    parts.endpoints.keep(version.endpoints);
    parts.stats.upstream(name, version.name);
    if (spec.limits !== undefined) parts.services.limiter(name, version.name, spec.limits, version.endpoints);
  }
  retryPolicy(spec, parts.services);
  return service;
}

function* buildService(spec: ServiceSpec, parts: SnapshotParts): Generator<undefined, Service> {
  const versions = new Map<string, ServiceVersion>();
  for (const [index, version] of spec.versions.entries()) {
    versions.set(version.name, buildVersion(spec, version, index, parts));
    yield;
  }
  return Object.freeze({
    name: spec.name,
    spec,
    defaultVersion: named(versions, spec.defaultVersion),
    versions,
    timeouts: spec.timeouts,
    responseHead: spec.responseHead,
    external: spec.external,
    protocol: spec.protocol,
    tls: spec.tls,
    retries: retryPolicy(spec, parts.services),
  });
}

function buildVersion(service: ServiceSpec, spec: VersionSpec, index: number, parts: SnapshotParts): ServiceVersion {
  const { limits, reuse } = service;
  const endpoints = parts.endpoints.set(service.name, spec.name, spec.endpoints, limits?.maxConnections, reuse);
  return Object.freeze({
    name: spec.name,
    index,
    endpoints,
    balancer: createBalancer(service.balance),
    stats: parts.stats.upstream(service.name, spec.name),
    limiter: limits && parts.services.limiter(service.name, spec.name, limits, endpoints),
  });
}

function* buildRoutes(
  config: CompiledConfig,
  services: ReadonlyMap<string, Service>,
  releases: ReadonlyMap<string, ActiveRelease>,
  parts: SnapshotParts,
  before: Snapshot | undefined,
): Generator<undefined, RouteTable<Route>> {
  const known = new Map<RouteSpec, RouteEntry<Route>>();
  const usual = before !== undefined && isAlikeForRoutes(config, before.config) ? before : undefined;
  for (const [at, spec] of (usual?.config.routes ?? []).entries()) {
    const entry = usual?.routes.entries[at];
    if (entry !== undefined) known.set(spec, entry);
  }
  yield;
  const entries: RouteEntry<Route>[] = [];
  for (const spec of config.routes) {
    const entry = known.get(spec);
    const isKept = entry !== undefined && isOf(entry.target, spec, services, releases);
    if (isKept) keepRoute(entry.target, spec, parts);
    entries.push(isKept ? entry : { match: spec.match, target: buildRoute(spec, config, services, releases, parts) });
    yield;
  }
  if (usual !== undefined && isSameList(entries, usual.routes.entries)) return usual.routes;
  return yield* RouteTable.building(entries);
}

const isSameList = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((item, at) => item === other[at]);

/** Whether what routes read of the configuration, besides their own spec, service and release, is the same in both. */
function isAlikeForRoutes(one: CompiledConfig, other: CompiledConfig): boolean {
  return (
    one.limits.bodyBytes === other.limits.bodyBytes &&
    one.pathNormalisation === other.pathNormalisation &&
    one.pathParameters === other.pathParameters &&
    isSameList(one.versionEdits, other.versionEdits) &&
    isSameList(one.mirrors, other.mirrors)
  );
}

/** Whether the route was built from this service and this release. */
function isOf(
  { service, release }: Route,
  spec: RouteSpec,
  services: ReadonlyMap<string, Service>,
  releases: ReadonlyMap<string, ActiveRelease>,
): boolean {
  return service === services.get(spec.service ?? "") && release === releases.get(spec.release ?? "");
}

/** What a route counts and limits by goes on: the new generations give the same objects. */
function keepRoute({ service, mirroring }: Route, spec: RouteSpec, parts: SnapshotParts): void {
  const { name, rateLimit, fault } = spec;
  if (rateLimit !== undefined) buildLimit(name, rateLimit, parts);
  if (fault !== undefined) parts.stats.fault(name);
  if (mirroring !== undefined) parts.stats.mirror(mirroring.spec.release, mirroring.spec.version);
  parts.stats.request(name, service?.name ?? "none", "none");
  for (const version of service?.versions.keys() ?? []) parts.stats.request(name, service?.name ?? "none", version);
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
  const rateLimit = spec.rateLimit && buildLimit(name, spec.rateLimit, parts);
  const cors = spec.cors && new Cors(spec.cors);
  if (redirect !== undefined) {
    const localReplyStats = parts.stats.request(name, "none", "none");
    const forwardsNothing = {
      service: undefined,
      release: undefined,
      mirroring: undefined,
      transforms: undefined,
      upstreamPath: undefined,
      isPrivate: false,
      fault: undefined,
      stats: undefined,
    };
    return Object.freeze({
      name,
      redirect,
      lane: "fast",
      timeouts: localReplyTimeouts,
      bodyBytes,
      rateLimit,
      cors,
      localReplyStats,
      ...forwardsNothing,
    });
  }
  const service = named(services, spec.service);
  const timeouts = Object.freeze({ ...service.timeouts, ...spec.timeouts });
  const release = spec.release === undefined ? undefined : named(releases, spec.release);
  const transforms = RouteTransforms.of(spec, service, config, cors);
  return Object.freeze({
    name,
    redirect,
    service,
    release,
    mirroring: spec.mirror === "off" ? undefined : mirroringOf(service, release, config, parts),
    transforms,
    upstreamPath: UpstreamPath.of(spec, transforms?.rewrite, config),
    isPrivate: release !== undefined && spec.sharedCache === "private",
    lane: laneOf(service.spec),
    timeouts,
    bodyBytes,
    rateLimit,
    cors,
    fault: fault && new Fault(name, fault, parts.stats.fault(name)),
    localReplyStats: parts.stats.request(name, service.name, "none"),
    stats: Object.freeze(
      [...service.versions.keys()].map((version) => parts.stats.request(name, service.name, version)),
    ),
  });
}

function buildLimit(route: string, spec: RateLimitSpec, { limits, stats }: SnapshotParts): RateLimit {
  if (spec.shared !== undefined) stats.redis(storeName(spec.shared));
  return new RateLimit(spec, limits.buckets(route, spec), stats.rateLimit(route, spec.shared && "shared"));
}

/** Without an upstream, only the client can time out. */
const localReplyTimeouts: Timeouts = Object.freeze({ connectMs: 0, responseHeadersMs: 0, idleMs: 60_000, totalMs: 0 });

/** Undefined if the service lacks the version that the mirror names. */
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

/** The standard lane can serve every route. The fast lane speaks only HTTP/1.1 without TLS to its endpoints. */
function laneOf(service: ServiceSpec): Lane {
  return isPlain(service) ? "fast" : "standard";
}

function isPlain({ protocol, versions }: ServiceSpec): boolean {
  return (
    protocol === "http1" &&
    versions.every(({ endpoints }) => endpoints.every((endpoint) => schemeOf(endpoint) === "http"))
  );
}

/** The configuration was validated, so a missing name is a defect of Perch. */
function named<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new TypeError(`The compiled configuration names "${name}", which it does not define.`);
  return value;
}
