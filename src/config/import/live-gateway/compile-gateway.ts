import type { GatewaySpec, TlsSpec } from "../../compiled-config.ts";
import type { GatewayListenerParts, GatewayParts } from "../../gateway-parts.ts";
import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { culpritsIn } from "../culprits.ts";
import { Draft, type DraftParts, type DraftRoute, type Note } from "../draft.ts";
import { type Attached, addInOrder, type HiddenRoute, matchedRule, rankedRoutes } from "../gateway-api/gateway-api.ts";
import { hasEntries } from "../gateway-api/http-route-match.ts";
import type { Hostname } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { Loose, SourceObject } from "../source-object.ts";
import { usableParts, withoutRoutes } from "../usable-parts.ts";
import { Cluster, type ClusterObject } from "./cluster.ts";
import type { Problem } from "./conditions.ts";
import type { KnownRefusals } from "./known-refusals.ts";
import { LiveBackends } from "./live-backends.ts";
import { LiveListeners, routeKinds } from "./live-listeners.ts";
import { type LiveParent, parentsBeside, parentsOf } from "./live-parents.ts";
import { addLiveRoute, type LiveRule, rulesOf } from "./live-rules.ts";
import { loadableGateway } from "./loadable-gateway.ts";
import { type PolicyProblem, type RoutePolicy, readPolicies, routeKey } from "./policies.ts";
import { StableNames, type TakenNames } from "./stable-names.ts";
import { TlsPolicies, type TlsPolicy } from "./tls-policies.ts";

export interface GatewayInput {
  readonly spec: GatewaySpec;
  /** With `apiVersion` and `kind`, which lists of the API leave out. */
  readonly objects: readonly Loose[];
  /** Why the API does not give some Secrets and ConfigMaps, by `kind namespace/name`. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Of the file, beside which the routes of the API stand. */
  readonly names: TakenNames;
  /** `tls` that listeners of the file have themselves, by name. */
  readonly fileTls: ReadonlyMap<string, TlsSpec>;
  /** The first problem of a configuration with these parts, if they may be the cause. */
  readonly problemIn: (parts: GatewayParts, files: ReadonlyMap<string, Uint8Array>) => string | undefined;
  /** What did not load before, beside the same file. What does not load now is added. */
  readonly refusals: KnownRefusals;
}

/** A Gateway of ours. */
export interface CompiledGateway extends ClusterObject {
  readonly notAccepted: Problem | undefined;
}

/** A route with a parent of ours. */
export interface CompiledRoute extends ClusterObject {
  readonly parents: readonly LiveParent[];
  readonly unresolved: Problem | undefined;
  /** What became of the policies for it; undefined if there is none. */
  readonly policy: { readonly problem: string | undefined } | undefined;
  /** What of it has no equivalent; empty if it is served as it is written. */
  readonly unsupported: readonly string[];
  /** False if nothing of it can be served. */
  readonly isServed: boolean;
}

/** A BackendTLSPolicy for backends of routes that have a parent of ours. */
export interface CompiledTlsPolicy extends TlsPolicy {
  /** Of ours, whose routes lead to its Services. */
  readonly gateways: readonly Manifest[];
}

/** What the objects of the Gateway API mean: what Perch is to serve, and what their statuses are to say. */
export interface CompiledGatewayApi {
  readonly parts: GatewayParts;
  /** Files that the parts name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly notes: readonly Note[];
  readonly classes: readonly ClusterObject[];
  readonly gateways: readonly CompiledGateway[];
  readonly listeners: LiveListeners;
  readonly routes: readonly CompiledRoute[];
  readonly tlsPolicies: readonly CompiledTlsPolicy[];
}

/** GatewayClasses that name our controller. */
export function ownClasses(cluster: Cluster, { controllerName }: Pick<GatewaySpec, "controllerName">) {
  return cluster.all("GatewayClass").filter(({ manifest }) => manifest.spec.text("controllerName") === controllerName);
}

export function ownGateways(cluster: Cluster, classes: readonly ClusterObject[]): readonly ClusterObject[] {
  const names = new Set(classes.map(({ manifest }) => manifest.name));
  return cluster.all("Gateway").filter(({ manifest }) => names.has(manifest.spec.text("gatewayClassName")));
}

/** Compiles the objects of the API. What is not valid in one of them takes no other down. */
export function compileGatewayApi(input: GatewayInput): CompiledGatewayApi {
  const found = readPolicies(new Cluster(input.objects, input.unreadable));
  const { refusals } = input;
  const [known, policies] = partition(found.policies, (policy) => refusals.whyOf(JSON.stringify(policy)) !== undefined);
  const problems = [
    ...found.problems,
    ...known.map((policy) => ({ ...policy, why: refusals.whyOf(JSON.stringify(policy)) ?? "" })),
  ];
  const first = compileWith(policies, problems, input);
  if (first.problem === undefined || policies.length === 0) return first.compiled;
  // Something did not load. A policy must not take its route down, so those that do are left out.
  const without = compileWith([], problems, input).compiled;
  const bad = culpritsIn(policies, (some) => {
    const { compiled, problem } = compileWith(some, problems, input);
    return compiled.parts.routes.length < without.parts.routes.length ? problem : undefined;
  });
  if (bad.size === 0) return first.compiled;
  const more = Array.from(bad, ([policy, problem]) => {
    const why = `the configuration does not load with it: ${problem}`;
    refusals.add(JSON.stringify(policy), why);
    return { where: policy.where, route: policy.route, why };
  });
  return compileWith(
    policies.filter((policy) => !bad.has(policy)),
    [...problems, ...more],
    input,
  ).compiled;
}

function partition<T>(
  all: readonly T[],
  isFirst: (one: T) => boolean,
): readonly [first: readonly T[], rest: readonly T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

function compileWith(
  policies: readonly RoutePolicy[],
  problems: readonly PolicyProblem[],
  { spec, objects, unreadable, names, fileTls, problemIn, refusals }: GatewayInput,
): { readonly compiled: CompiledGatewayApi; readonly problem: string | undefined } {
  // Each compilation has its own: objects remember what was read of them.
  const cluster = new Cluster(objects, unreadable);
  const stable = new StableNames(names);
  const draft = new Draft((kind, wanted) => stable.next(kind, wanted));
  for (const { where, why } of problems) draft.note(where, `the policy is not applied: ${why}`);
  const classes = ownClasses(cluster, spec);
  const gateways = ownGateways(cluster, classes).map((one) => ({ ...one, notAccepted: refusalOf(one.manifest) }));
  const accepted = gateways.flatMap(({ manifest, notAccepted }) => (notAccepted === undefined ? [manifest] : []));
  const listeners = new LiveListeners(accepted, cluster, spec, fileTls);
  const tlsPolicies = new TlsPolicies(cluster);
  const backends = new LiveBackends(cluster, tlsPolicies, spec.endpoints, draft);
  const bases = new Map<string, string>();
  const made = { services: new Set<string>(), releases: new Set<string>() };
  const parts = { backends, names: stable, draft, secretFile: spec.secretFile, policies, made, bases };
  const read = routeKinds
    .flatMap((kind) => cluster.all(kind))
    .toSorted(byPosition(cluster))
    .flatMap((one) => readRoute(one, accepted, listeners, parts) ?? []);
  for (const { port, listener: name } of spec.ports) {
    draft.listeners.push({ name, source: "", where: "", port, certificates: undefined });
  }
  const hidden = Map.groupBy(addRoutes(read, listeners, stable, draft), ({ route }) => route.manifest);
  const files = new Map([...listeners.files, ...tlsPolicies.files()]);
  const listenerParts = withH2c(listeners.parts(), draft);
  const before = new Set(draft.notes);
  const all = withoutRefused(usableParts(draft), refusals, draft);
  const given = { bases: Object.fromEntries(bases), listeners: listenerParts };
  const byAge = (routes: readonly DraftRoute[]) => byAgeOf(read, routes);
  const loadable = loadableGateway(all, given, { byAge, draft, problemIn: (some) => problemIn(some, files) });
  // With policies, these may be the cause.
  for (const [route, why] of policies.length > 0 ? [] : loadable.problems) refusals.add(routeText(route, all), why);
  const titles = (some: readonly DraftRoute[]) => new Set(some.flatMap(({ sources }) => sources));
  const [written, kept] = [titles(draft.routes), titles(loadable.routes)];
  const differences = Map.groupBy(
    draft.notes.filter((note) => !before.has(note)),
    ({ where }) => where,
  );
  const routes = read.map(({ object, parents, rules, unsupported, attached }) => ({
    ...object,
    parents: parentsBeside(hidden.get(object.manifest) ?? [], { parents, attached }, accepted, listeners),
    unresolved: rules.find(({ unresolved }) => unresolved !== undefined)?.unresolved,
    policy: policyState(object.manifest, policies, problems),
    unsupported: [
      ...unsupported,
      ...rules.flatMap((rule) => rule.unsupported),
      ...(differences.get(titleOf(object.manifest)) ?? []).map(({ what }) => `its rules: ${what}`),
    ],
    isServed: isServed(attached, written, kept),
  }));
  const compiled = {
    ...{ parts: loadable.parts, files, notes: draft.notes },
    ...{ classes, gateways, listeners, routes },
    tlsPolicies: tlsPolicies.inUse().map((policy) => ({ ...policy, gateways: gatewaysOf(policy, routes) })),
  };
  return { compiled, problem: loadable.problem };
}

/** By which these routes get to the policy's backends. */
function gatewaysOf({ routes }: TlsPolicy, all: readonly CompiledRoute[]): readonly Manifest[] {
  const parents = all.filter(({ manifest }) => routes.has(manifest)).flatMap((route) => route.parents);
  return [...new Set(parents.flatMap(({ gateway, notAccepted }) => (notAccepted === undefined ? [gateway] : [])))];
}

function withoutRefused(parts: DraftParts, refusals: KnownRefusals, draft: Draft): DraftParts {
  if (refusals.isEmpty) return parts;
  const problems = parts.routes.flatMap((route) => {
    const why = refusals.whyOf(routeText(route, parts));
    return why === undefined ? [] : [[route, why] as const];
  });
  return withoutRoutes(parts, new Map(problems), draft);
}

/** Those of Perch's routes that come from older objects first, and its own before all. */
function byAgeOf(read: readonly ReadRoute[], routes: readonly DraftRoute[]): readonly DraftRoute[] {
  const positions = new Map(read.map(({ object }, at) => [titleOf(object.manifest), at]));
  const positionOf = ({ comment }: DraftRoute) => positions.get(comment) ?? -1;
  return routes.toSorted((a, b) => positionOf(a) - positionOf(b));
}

/** All that is loaded of a route. */
function routeText(route: DraftRoute, { services, releases }: DraftParts): string {
  const service = services.find(({ name }) => name === route.service);
  const release = releases.find(({ name }) => name === route.release);
  return JSON.stringify([route, service, release]);
}

function policyState(
  manifest: Manifest,
  policies: readonly RoutePolicy[],
  problems: readonly PolicyProblem[],
): CompiledRoute["policy"] {
  const key = routeKey(manifest);
  const found = problems.find(({ route }) => route === key);
  if (found !== undefined) return { problem: `${found.where}: ${found.why}` };
  return policies.some(({ route }) => route === key) ? { problem: undefined } : undefined;
}

/** `written`: titles of objects with routes; `kept`: those of which a route is valid. A listener without traffic wants none. */
function isServed(
  { manifest, attachments, routes }: Attached,
  written: ReadonlySet<string>,
  kept: ReadonlySet<string>,
) {
  const title = titleOf(manifest);
  if (kept.has(title) || attachments.length === 0) return true;
  return routes.length > 0 && !written.has(title);
}

/** Both kinds of routes by age, as the cluster sorts all objects. */
function byPosition({ manifests }: Cluster) {
  const positions = new Map(manifests.map((manifest, at) => [manifest, at]));
  return (a: ClusterObject, b: ClusterObject) => (positions.get(a.manifest) ?? 0) - (positions.get(b.manifest) ?? 0);
}

function refusalOf({ spec }: Manifest): Problem | undefined {
  if (!spec.object("infrastructure").has("parametersRef")) return undefined;
  return { reason: "InvalidParameters", message: "Perch takes no parameters (infrastructure.parametersRef)" };
}

interface ReadRoute {
  readonly object: ClusterObject;
  readonly parents: readonly LiveParent[];
  readonly rules: readonly LiveRule[];
  readonly attached: Attached;
  /** Hostnames without an equivalent. */
  readonly unsupported: readonly string[];
}

/** Undefined if it has no parent of ours. */
function readRoute(
  object: ClusterObject,
  gateways: readonly Manifest[],
  listeners: LiveListeners,
  parts: Parameters<typeof rulesOf>[1],
): ReadRoute | undefined {
  const { manifest } = object;
  const { hostnames, unsupported } = hostnamesOf(manifest);
  const { parents, attachments } = parentsOf(manifest, hostnames, gateways, listeners);
  if (parents.length === 0) return undefined;
  // What it refers to is told also where no listener takes it.
  const rules = rulesOf(manifest, parts);
  const routes =
    attachments.length === 0 || "reason" in hostnames
      ? []
      : rankedRoutes(manifest, attachments, hostnames, parts.draft);
  return { object, parents, rules, unsupported, attached: { manifest, attachments, routes } };
}

/** A problem if it has some, and none has an equivalent: it must not be taken for a route for all hosts. */
function hostnamesOf({ spec }: Manifest): {
  readonly hostnames: readonly Hostname[] | Problem;
  readonly unsupported: readonly string[];
} {
  const written = spec.texts("hostnames").map((host) => host.toLowerCase());
  const hostnames = written.filter((host) => accepts(hostPattern, host));
  const unsupported = written.filter((host) => !hostnames.includes(host)).map((host) => `the hostname ${host}`);
  const isLost = hostnames.length === 0 && (written.length > 0 || hasEntries(spec.peek("hostnames")));
  const lost: Problem = { reason: "UnsupportedValue", message: `Perch has no equivalent of its hostnames` };
  return { hostnames: isLost ? lost : hostnames, unsupported };
}

function addRoutes(
  read: readonly ReadRoute[],
  listeners: LiveListeners,
  names: StableNames,
  draft: Draft,
): readonly HiddenRoute[] {
  const rules = new Map<SourceObject, LiveRule>(read.flatMap((one) => one.rules.map((rule) => [rule.rule, rule])));
  const matches = new Map<LiveRule, number>();
  // The first choice of names is that of older routes, and not of those with priority.
  for (const rule of rules.values()) nameOfRoute(rule, 1, names);
  const attached = read.map((one) => one.attached);
  const isolating = {
    besides: (listener: Parameters<LiveListeners["besides"]>[0]) => listeners.besides(listener),
    nameOf: (listener: Parameters<LiveListeners["nameOf"]>[0]) => listeners.nameOf(listener),
  };
  return addInOrder(
    attached,
    isolating,
    (ranked) => {
      const live = rules.get(ranked.rule);
      if (live === undefined) return;
      const number = (matches.get(live) ?? 0) + 1;
      matches.set(live, number);
      addLiveRoute(live, matchedRule(ranked, draft), nameOfRoute(live, number, names), draft);
    },
    draft,
  );
}

/** `number`: which match of the rule it is for, from 1. */
function nameOfRoute({ label, manifest, rule }: LiveRule, number: number, names: StableNames): string {
  const wanted = number === 1 ? label : `${label}-m${number}`;
  const { kind, namespace, name } = manifest;
  return names.of("route", wanted, `${kind} ${namespace}/${name} ${rule.path} ${number}`);
}

/** Listeners with calls of gRPC take HTTP/2 without TLS, which with TLS ALPN chooses. */
function withH2c(
  parts: Readonly<Record<string, GatewayListenerParts>>,
  { listeners }: Draft,
): Readonly<Record<string, GatewayListenerParts>> {
  const added = listeners.filter(({ name, h2c }) => h2c === true && parts[name]?.tls === undefined);
  return { ...parts, ...Object.fromEntries(added.map(({ name }) => [name, { ...parts[name], h2c: true }])) };
}
