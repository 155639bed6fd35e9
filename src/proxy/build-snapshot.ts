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
import { RouteTable } from "../route/route-table.ts";
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
        tap: parts.taps.slot(spec.name),
      }),
    ]),
  );
  const attributeStats: AttributeStats[] = config.attributes.map((spec) =>
    parts.stats.attribute(spec.name, unusableCauses(spec)),
  );
  const patternStats = parts.stats.pattern();
  const attributes = new AttributeTable(
    config.attributes,
    {
      attributeError: (index, cause) => attributeStats[index]?.error(cause),
      patternSkipped: () => patternStats.skipped.value++,
    },
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
