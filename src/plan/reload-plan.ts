import { isDeepStrictEqual } from "node:util";
import type { CompiledConfig, ListenerSpec, TracingSpec } from "../config/compiled-config.ts";
import type { Config } from "../config/schema.ts";
import { addressText } from "../config/sections/listener.ts";
import type { RouteConfig } from "../config/sections/route.ts";
import type { ServiceConfig } from "../config/sections/service.ts";
import { describeSpec, type ServiceSpec } from "../upstream/service-spec.ts";

export interface Change {
  readonly kind: "added" | "removed" | "changed";
  readonly what: "route" | "service" | "version" | "endpoint" | "release" | "attribute" | "listener" | "setting";
  /** `shop/canary http://…` for an endpoint. */
  readonly name: string;
  /** What differs; empty unless `kind` is `changed`. */
  readonly detail: string;
}

/** The effects of a reload other than moving users. */
export interface ReloadPlan {
  readonly changes: readonly Change[];
  /** Differences that take effect only at a restart. */
  readonly restartNeeded: readonly string[];
}

/** A configuration as written and as compiled. */
export interface ConfigPair {
  readonly config: Config;
  readonly compiled: CompiledConfig;
}

/** A service as written and as compiled. */
export interface ServicePair {
  readonly name: string;
  readonly written: ServiceConfig;
  readonly spec: ServiceSpec;
}

export function planReload(old: ConfigPair, next: ConfigPair): ReloadPlan {
  return {
    changes: [
      ...settingChanges(old.compiled, next.compiled),
      ...listenerChanges(old.compiled.listeners, next.compiled.listeners),
      ...named("attribute", old.compiled.attributes, next.compiled.attributes, attributeDetail),
      ...serviceChanges(old, next),
      ...named("release", old.compiled.releases, next.compiled.releases, () => undefined),
      ...routeChanges(old.config.routes, next.config.routes),
    ],
    restartNeeded: restartNeeded(old.compiled, next.compiled),
  };
}

interface Named {
  readonly name: string;
}

/** Compares by name. `detail` describes how two items of one name differ; undefined if they do not. */
function named<T extends Named>(
  what: Change["what"],
  old: readonly T[],
  next: readonly T[],
  detail: (old: T, next: T) => string | undefined,
): Change[] {
  const before = new Map(old.map((one) => [one.name, one]));
  const names = new Set(next.map(({ name }) => name));
  const changes = next.flatMap((one): Change[] => {
    const { name } = one;
    const was = before.get(name);
    if (was === undefined) return [{ kind: "added", what, name, detail: "" }];
    const found = detail(was, one);
    return found === undefined ? [] : [{ kind: "changed", what, name, detail: found }];
  });
  const removed = old.filter(({ name }) => !names.has(name));
  return [...changes, ...removed.map(({ name }): Change => ({ kind: "removed", what, name, detail: "" }))];
}

function settingChanges(old: CompiledConfig, next: CompiledConfig): Change[] {
  const before = settings(old);
  const after = settings(next);
  return Object.keys(after).flatMap((name): Change[] => {
    if (before[name] === after[name]) return [];
    return [{ kind: "changed", what: "setting", name, detail: `${before[name]} → ${after[name]}` }];
  });
}

function settings({
  trustedProxies,
  trustUnixSockets,
  exposeVersion,
  pathNormalisation,
  pathParameters,
  fastLane,
  tracing,
  accessLog,
  limits,
  dns,
}: CompiledConfig): Record<string, string> {
  return {
    trustedProxies:
      [...trustedProxies.map(({ text }) => text), ...(trustUnixSockets ? ["unix"] : [])].join(", ") || "none",
    exposeVersion: String(exposeVersion),
    pathNormalisation,
    pathParameters,
    fastLane,
    tracing: tracingText(tracing),
    "accessLog.sample": String(accessLog.sample),
    "dns.servers": dns.servers.join(", ") || "system",
    "dns.minTtl": String(dns.minTtlMs),
    "dns.maxTtl": String(dns.maxTtlMs),
    "limits.headers": String(limits.headerBytes),
    "limits.headerCount": String(limits.headerCount),
    "limits.uri": String(limits.uriBytes),
    "limits.cookies": String(limits.cookies),
    "limits.streams": String(limits.streams),
    "limits.body": String(limits.bodyBytes),
    "limits.requestsPerConnection": limitText(limits.requestsPerConnection),
    "limits.connections": limits.connections === "auto" ? "auto" : limitText(limits.connections),
    "limits.connectionsPerAddress": limitText(limits.connectionsPerAddress),
    "limits.inFlight": limitText(limits.inFlight),
    "limits.loopDelay": limitText(limits.loopDelayMs),
  };
}

const limitText = (limit: number): string => (limit === Number.POSITIVE_INFINITY ? "none" : String(limit));

function tracingText(tracing: TracingSpec | undefined): string {
  if (tracing === undefined) return "off";
  const { sample, trustIncoming, serviceName, otlp } = tracing;
  const to = otlp === undefined ? "" : `, otlp ${otlp.endpoint}`;
  return `sample ${sample}, trustIncoming ${trustIncoming}, serviceName ${serviceName}${to}`;
}

/** Only listeners in both files: adding or removing one takes a restart and is reported there. */
function listenerChanges(old: readonly ListenerSpec[], next: readonly ListenerSpec[]): Change[] {
  const before = new Set(old.map(({ name }) => name));
  const after = new Set(next.map(({ name }) => name));
  return named(
    "listener",
    old.filter(({ name }) => after.has(name)),
    next.filter(({ name }) => before.has(name)),
    listenerDetail,
  );
}

function listenerDetail(old: ListenerSpec, next: ListenerSpec): string | undefined {
  const parts: string[] = [];
  const onOff = (on: boolean) => (on ? "on" : "off");
  for (const key of ["proxyProtocol", "h2c"] as const) {
    if (old[key] !== next[key]) parts.push(`${key} ${onOff(old[key])} → ${onOff(next[key])}`);
  }
  if (old.tls === undefined || next.tls === undefined) {
    if (old.tls !== next.tls) parts.push(`tls ${onOff(old.tls !== undefined)} → ${onOff(next.tls !== undefined)}`);
    return parts.length === 0 ? undefined : parts.join(", ");
  }
  const { minVersion, clientCa, certificates } = next.tls;
  if (old.tls.minVersion !== minVersion) parts.push(`minVersion ${old.tls.minVersion} → ${minVersion}`);
  if (!isDeepStrictEqual(old.tls.clientCa, clientCa)) parts.push("clientCa");
  if (!isDeepStrictEqual(old.tls.certificates, certificates)) parts.push("certificates");
  return parts.length === 0 ? undefined : parts.join(", ");
}

function attributeDetail<T extends CompiledConfig["attributes"][number]>(old: T, next: T): string | undefined {
  const parts: string[] = [];
  if (old.type !== next.type) parts.push(`type ${old.type} → ${next.type}`);
  if (!isDeepStrictEqual(old.from, next.from)) parts.push("sources");
  return parts.length === 0 ? undefined : parts.join(", ");
}

function serviceChanges(old: ConfigPair, next: ConfigPair): Change[] {
  const [before, after] = [old.compiled.services, next.compiled.services];
  return [
    ...named("service", servicesOf(old), servicesOf(next), serviceDetail),
    ...named(
      "version",
      old.config.services.flatMap(versionsOf),
      next.config.services.flatMap(versionsOf),
      (one, other) => versionDetail(one.version, other.version),
    ),
    ...named("endpoint", before.flatMap(endpointsOf), after.flatMap(endpointsOf), () => undefined),
  ];
}

function servicesOf({ config, compiled }: ConfigPair): ServicePair[] {
  const specs = new Map(compiled.services.map((spec) => [spec.name, spec]));
  return config.services.flatMap(({ name, value: written }) => {
    const spec = specs.get(name);
    return spec === undefined ? [] : [{ name, written, spec }];
  });
}

function versionsOf({ name, value }: Config["services"][number]) {
  return value.versions.map((version) => ({ name: `${name}/${version.name}`, version }));
}

function endpointsOf({ name, versions }: ServiceSpec): Named[] {
  return versions.flatMap((version) =>
    version.endpoints.map((endpoint) => ({ name: `${name}/${version.name} ${describeSpec(endpoint)}` })),
  );
}

/** How two services of one name differ, apart from their versions; undefined if they do not. */
function serviceDetail(old: ServicePair, next: ServicePair): string | undefined {
  const [before, after] = [old.written, next.written];
  const parts = [
    ...wordChange("default", old.spec.defaultVersion, next.spec.defaultVersion),
    ...wordChange("protocol", before.protocol, after.protocol),
    ...wordChange("balance", before.balance, after.balance),
    ...wordChange("external", before.external, after.external),
    ...sectionChanges("timeouts", before.timeouts, after.timeouts),
    ...tlsChanges(old, next),
    ...sectionChanges("health", before.health, after.health),
    ...sectionChanges("outlier", before.outlier, after.outlier),
    ...sectionChanges("retries", before.retries, after.retries),
    ...sectionChanges("limits", before.limits, after.limits),
  ];
  return parts.length === 0 ? undefined : parts.join(", ");
}

/** Endpoints are compared separately; header edits are all that a version has besides them. */
function versionDetail(
  old: ServiceConfig["versions"][number],
  next: ServiceConfig["versions"][number],
): string | undefined {
  const keys = ["requestHeaders", "responseHeaders"] as const;
  const parts = keys.filter((key) => !isDeepStrictEqual(old.value[key], next.value[key]));
  return parts.length === 0 ? undefined : parts.join(", ");
}

function wordChange(name: string, old: string | boolean, next: string | boolean): string[] {
  return old === next ? [] : [`${name} ${old} → ${next}`];
}

/** Whether a section is added or removed, or else the keys that differ, without their values. */
function sectionChanges(name: string, old: object | undefined, next: object | undefined): string[] {
  if (old === undefined || next === undefined) {
    if (old === next) return [];
    return [`${name} ${old === undefined ? "off → on" : "on → off"}`];
  }
  const [before, after] = [new Map(Object.entries(old)), new Map(Object.entries(next))];
  const keys = [...new Set([...before.keys(), ...after.keys()])];
  return keys.filter((key) => !isDeepStrictEqual(before.get(key), after.get(key))).map((key) => `${name}.${key}`);
}

/** Compares the contents of the files: another path to the same certificate is no change. */
function tlsChanges(old: ServicePair, next: ServicePair): string[] {
  if (old.spec.tls?.digest === next.spec.tls?.digest) return [];
  const written = sectionChanges("tls", old.written.tls, next.written.tls);
  return written.length === 0 ? ["contents of the tls files"] : written;
}

function routeChanges(old: readonly RouteConfig[], next: readonly RouteConfig[]): Change[] {
  const changes = named("route", old, next, routeDetail);
  const before = commonNames(old, next);
  if (before.join() === commonNames(next, old).join()) return changes;
  const detail = "the first match wins";
  return [...changes, { kind: "changed", what: "setting", name: "the order of routes", detail }];
}

function commonNames(routes: readonly RouteConfig[], others: readonly RouteConfig[]): string[] {
  const names = new Set(others.map(({ name }) => name));
  return routes.map(({ name }) => name).filter((name) => names.has(name));
}

/** Parts of a route that are reported by name only. */
const changedParts = [
  "redirect",
  "rewrite",
  "requestHeaders",
  "responseHeaders",
  "timeouts",
  "maxBodySize",
  "rateLimit",
  "fault",
] as const;

function routeDetail(old: RouteConfig, next: RouteConfig): string | undefined {
  const parts: string[] = [];
  // Compared as written: compiled patterns contain functions, which are never equal.
  if (!isDeepStrictEqual(old.match, next.match)) parts.push("match");
  if (old.service !== next.service) parts.push(`service ${old.service ?? "none"} → ${next.service ?? "none"}`);
  for (const key of changedParts) {
    if (!isDeepStrictEqual(old[key], next[key])) parts.push(key);
  }
  if (old.mirror !== next.mirror) parts.push(`mirror ${old.mirror} → ${next.mirror}`);
  if (old.sharedCache !== next.sharedCache) parts.push(`sharedCache ${old.sharedCache} → ${next.sharedCache}`);
  if (old.pathNormalisation !== next.pathNormalisation) {
    const [before, after] = [old, next].map(({ pathNormalisation = "unset" }) => pathNormalisation);
    parts.push(`pathNormalisation ${before} → ${after}`);
  }
  if (old.release !== next.release) {
    parts.push(`release ${old.release ?? "none"} → ${next.release ?? "none"}, users are drawn again`);
  }
  return parts.length === 0 ? undefined : parts.join(", ");
}

function restartNeeded(old: CompiledConfig, next: CompiledConfig): string[] {
  const needed: string[] = [];
  const before = listenerText(old);
  const after = listenerText(next);
  if (before !== after) needed.push(`listeners: ${before} → ${after}`);
  const admin = { before: addressText(old.admin), after: addressText(next.admin) };
  if (admin.before !== admin.after) needed.push(`admin.address: ${admin.before} → ${admin.after}`);
  if (old.stateFile !== next.stateFile) {
    needed.push(`state.file: ${old.stateFile ?? "none"} → ${next.stateFile ?? "none"}`);
  }
  const shared = { before: sharedText(old), after: sharedText(next) };
  if (shared.before !== shared.after) needed.push(`state.kubernetes: ${shared.before} → ${shared.after}`);
  return needed;
}

function sharedText({ sharedState }: CompiledConfig): string {
  if (sharedState === undefined) return "none";
  const { namespace = "the Pod's", configMap, lease } = sharedState;
  return `${configMap} and ${lease} in ${namespace}`;
}

function listenerText({ listeners }: CompiledConfig): string {
  return listeners.map((listener) => `${listener.name} ${addressText(listener.address)}`).join(", ");
}
