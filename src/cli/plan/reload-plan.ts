import { isDeepStrictEqual } from "node:util";
import { addressText } from "../../config/address-text.ts";
import type { CompiledConfig, ListenerSpec } from "../../config/compiled-config.ts";
import type { RouteConfig } from "../../config/route-schema.ts";
import type { Config } from "../../config/schema.ts";
import { describeSpec } from "../../upstream/endpoint-spec.ts";
import type { ServiceSpec } from "../../upstream/service-spec.ts";

/** One thing that a reload adds, removes or changes. */
export interface Change {
  readonly kind: "added" | "removed" | "changed";
  readonly what: "route" | "service" | "version" | "endpoint" | "release" | "attribute" | "listener" | "setting";
  /** `shop/canary http://…` for an endpoint. */
  readonly name: string;
  /** What a change is about; empty for what comes or goes. */
  readonly detail: string;
}

/** What taking the new configuration into service does, beside moving users. */
export interface ReloadPlan {
  readonly changes: readonly Change[];
  /** What differs and is only looked at when the process starts. */
  readonly restartNeeded: readonly string[];
}

/** A configuration as it is written, and as the stages get it. */
export interface ConfigPair {
  readonly config: Config;
  readonly compiled: CompiledConfig;
}

export function planReload(old: ConfigPair, next: ConfigPair): ReloadPlan {
  return {
    changes: [
      ...settingChanges(old.compiled, next.compiled),
      ...listenerChanges(old.compiled.listeners, next.compiled.listeners),
      ...named("attribute", old.compiled.attributes, next.compiled.attributes, attributeDetail),
      ...serviceChanges(old.compiled.services, next.compiled.services),
      ...named("release", old.compiled.releases, next.compiled.releases, () => undefined),
      ...routeChanges(old.config.routes, next.config.routes),
    ],
    restartNeeded: restartNeeded(old.compiled, next.compiled),
  };
}

interface Named {
  readonly name: string;
}

/** Compares by name; `detail` says how two of one name differ, undefined where they do not. */
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
  accessLog,
  limits,
  dns,
}: CompiledConfig): Record<string, string> {
  return {
    trustedProxies:
      [...trustedProxies.map(({ text }) => text), ...(trustUnixSockets ? ["unix"] : [])].join(", ") || "none",
    exposeVersion: String(exposeVersion),
    pathNormalisation,
    "accessLog.sample": String(accessLog.sample),
    "dns.servers": dns.servers.join(", ") || "the system's",
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

/** Which listeners there are takes a restart, and is told there. */
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

function serviceChanges(old: readonly ServiceSpec[], next: readonly ServiceSpec[]): Change[] {
  const same = () => undefined;
  return [
    ...named("service", old, next, serviceDetail),
    ...named("version", old.flatMap(versionsOf), next.flatMap(versionsOf), same),
    ...named("endpoint", old.flatMap(endpointsOf), next.flatMap(endpointsOf), same),
  ];
}

function serviceDetail(old: ServiceSpec, next: ServiceSpec): string | undefined {
  const parts: string[] = [];
  if (old.defaultVersion !== next.defaultVersion) parts.push(`default ${old.defaultVersion} → ${next.defaultVersion}`);
  if (old.protocol !== next.protocol) parts.push(`protocol ${old.protocol} → ${next.protocol}`);
  if (!isDeepStrictEqual(old.timeouts, next.timeouts)) parts.push("timeouts");
  if (old.balance !== next.balance) parts.push(`balance ${old.balance} → ${next.balance}`);
  for (const key of ["health", "outlier", "retries", "limits"] as const) {
    if (!isDeepStrictEqual(old[key], next[key])) parts.push(key);
  }
  return parts.length === 0 ? undefined : parts.join(", ");
}

function versionsOf({ name, versions }: ServiceSpec): Named[] {
  return versions.map((version) => ({ name: `${name}/${version.name}` }));
}

function endpointsOf({ name, versions }: ServiceSpec): Named[] {
  return versions.flatMap((version) =>
    version.endpoints.map((endpoint) => ({ name: `${name}/${version.name} ${describeSpec(endpoint)}` })),
  );
}

function routeChanges(old: readonly RouteConfig[], next: readonly RouteConfig[]): Change[] {
  const changes = named("route", old, next, routeDetail);
  const before = commonNames(old, next);
  if (before.join() === commonNames(next, old).join()) return changes;
  const detail = "the first that matches wins";
  return [...changes, { kind: "changed", what: "setting", name: "the order of routes", detail }];
}

function commonNames(routes: readonly RouteConfig[], others: readonly RouteConfig[]): string[] {
  const names = new Set(others.map(({ name }) => name));
  return routes.map(({ name }) => name).filter((name) => names.has(name));
}

/** What of a route is told by its name only. */
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
  // As it is written, since compiled patterns hold functions, which are never equal.
  if (!isDeepStrictEqual(old.match, next.match)) parts.push("match");
  if (old.service !== next.service) parts.push(`service ${old.service ?? "none"} → ${next.service ?? "none"}`);
  for (const key of changedParts) {
    if (!isDeepStrictEqual(old[key], next[key])) parts.push(key);
  }
  if (old.release !== next.release) {
    parts.push(`release ${old.release ?? "none"} → ${next.release ?? "none"}, its users are drawn anew`);
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
  return needed;
}

function listenerText({ listeners }: CompiledConfig): string {
  return listeners.map((listener) => `${listener.name} ${addressText(listener.address)}`).join(", ");
}
