import type { Draft, DraftRoute, YamlMap, YamlValue } from "../draft.ts";
import { errorRoute } from "../error-routes.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { redirectedMatch } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";
import { type WeightedService, weightedService } from "../weighted-versions.ts";
import { type Backend, type BackendReader, type Backends, routeFilters } from "./backends.ts";
import { filterSettings } from "./http-route-filters.ts";
import { retries, routeTimeouts, serviceTimeouts, sessionCookie, sticky } from "./rule-settings.ts";

/** A rule of an HTTPRoute or GRPCRoute, with one of its matches. */
export interface MatchedRule {
  readonly manifest: Manifest;
  readonly rule: SourceObject;
  readonly match: YamlMap;
  /** Whether the match is of one scheme already, by its listeners or itself. */
  readonly hasScheme: boolean;
}

/** Adds the route of a rule, or notes why it is left out. */
export function addRoute(matched: MatchedRule, reader: BackendReader, draft: Draft): void {
  const { manifest, rule, match } = matched;
  const where = titleOf(manifest);
  const refs = rule.objects("backendRefs");
  const filters = filterSettings([...rule.objects("filters"), ...routeFilters(refs)], match["path"], where, draft);
  const originalName = rule.text("name");
  const route = {
    name: draft.name("route", originalName || manifest.name),
    match,
    comment: where,
    sources: [where],
    ...(originalName === "" ? {} : { originalName }),
  };
  if ("problem" in filters) {
    draft.leftOut(where, `${filters.problem}, so the rule is left out; later routes match its requests`);
    rule.dismiss();
    return;
  }
  const { redirect } = filters.settings;
  if (redirect !== undefined) {
    addRedirect(route, matched.hasScheme, redirect, filters.settings, draft);
    return;
  }
  const backends = reader.read(refs, manifest);
  const status = manifest.kind === "GRPCRoute" ? 503 : 500;
  const total = backends.valid.reduce((sum, { weight }) => sum + weight, backends.invalidWeight);
  if (backends.valid.every(({ weight }) => weight <= 0)) {
    draft.note(where, `${rule.path} has no usable backend with a weight: its requests get ${status}`);
    const abort = { fault: { abort: { status } } };
    const unserved = unservedBy(backends, matched, reader, draft);
    rule.dismiss();
    draft.routes.push(
      unserved === undefined ? errorRoute(route, status, draft) : { ...route, ...unserved, settings: abort },
    );
    return;
  }
  const percent = Number(((100 * backends.invalidWeight) / total).toFixed(3));
  const fault = percent === 0 ? {} : { fault: { abort: { status, percent } } };
  if (percent > 0) {
    const what = `${percent} % of the requests of ${rule.path} are for backends that are left out: they get ${status}, as from a gateway that does not know a backend`;
    draft.note(where, what);
  }
  const served = serviceOf(rule, manifest, backends, filters.mirror, reader, draft);
  const settings = { ...filters.settings, ...routeTimeouts(rule), ...fault };
  draft.routes.push({ ...route, ...served, settings });
}

/** The Service of a backend without weight is named all the same: with one it serves the route again. */
function unservedBy(
  { valid: [backend] }: Backends,
  { rule, manifest }: MatchedRule,
  reader: BackendReader,
  draft: Draft,
): WeightedService | undefined {
  if (backend === undefined) return undefined;
  const alone = { valid: [{ ...backend, weight: 1 }], invalidWeight: 0 };
  return serviceOf(rule, manifest, alone, undefined, reader, draft);
}

function addRedirect(
  route: Pick<DraftRoute, "name" | "match" | "comment" | "sources">,
  hasScheme: boolean,
  redirect: YamlValue,
  settings: YamlMap,
  draft: Draft,
): void {
  for (const key of Object.keys(settings).filter((one) => one !== "redirect" && one !== "cors")) {
    draft.note(route.comment, `${key} beside a redirect: Perch's redirects have no such settings, left out`);
  }
  const { cors } = settings;
  draft.routes.push({
    ...route,
    match: hasScheme ? route.match : redirectedMatch(route.match, redirect),
    service: undefined,
    release: undefined,
    settings: { redirect, ...(cors === undefined ? {} : { cors }) },
  });
}

function serviceOf(
  rule: SourceObject,
  manifest: Manifest,
  { valid }: Backends,
  mirror: SourceObject | undefined,
  reader: BackendReader,
  draft: Draft,
): WeightedService {
  const where = titleOf(manifest);
  const backends = mirror === undefined ? valid : mirrored(valid, mirror, manifest, reader);
  const settings = {
    ...connectionSettings(backends, manifest, draft),
    ...serviceTimeouts(rule, draft),
    ...retries(rule, where, draft),
  };
  const wanted = { service: backends[0]?.name ?? manifest.name, release: manifest.name, settings, comment: where };
  if (valid.length === 1 && rule.has("sessionPersistence")) return keptOnPod(rule, backends, wanted, reader, draft);
  return weightedService(backends, wanted, valid.length < 2 ? {} : sticky(rule, where, draft), draft);
}

type Wanted = Parameters<typeof weightedService>[1];

/**
 * A session that stays with a Pod of the only backend: `balance: hash`, by the unit in the release's cookie. Perch knows
 * the Pods of a headless Service only.
 */
function keptOnPod(
  rule: SourceObject,
  backends: readonly Backend[],
  wanted: Wanted,
  reader: BackendReader,
  draft: Draft,
): WeightedService {
  const sticky = {
    whenWeightsChange: "hold",
    ...sessionCookie(rule.object("sessionPersistence"), wanted.comment, draft),
  };
  const settings = { balance: "hash", ...wanted.settings };
  const [backend] = backends;
  const pods = backend !== undefined && backends.length === 1 ? reader.podsOf(backend, wanted.comment) : undefined;
  if (pods !== undefined) {
    const service = draft.service(wanted.service, [{ name: "stable", endpoints: [pods] }], settings);
    return { service, release: draft.release(wanted.release, { sticky }, wanted.comment, service) };
  }
  draft.note(
    wanted.comment,
    `sessions stayed on one Pod, as by \`balance: hash\`, but only among endpoints that are Pods: use a headless Service (\`clusterIP: None\`) as \`{ dns: … }\``,
  );
  return weightedService(backends, { ...wanted, settings }, { sticky }, draft);
}

/** `tls` and `protocol` are the same for all versions of a service. */
function connectionSettings(backends: readonly Backend[], manifest: Manifest, draft: Draft): YamlMap {
  const where = titleOf(manifest);
  const [first] = backends;
  if (first === undefined) return {};
  const isGrpc = manifest.kind === "GRPCRoute";
  const protocols = new Set(backends.map(({ protocol }) => (isGrpc ? "http2" : protocol)));
  if (protocols.size > 1) {
    const names = backends.filter(({ protocol }) => protocol === "http2").map(({ name }) => name);
    const what = `the backends ${names.join(", ")} speak HTTP/2 and the others of the rule do not: a service of Perch has one protocol, HTTP/1.1 is written`;
    draft.note(where, what);
  }
  const tls = backends.flatMap((one) => (one.tls === undefined ? [] : [one.tls]));
  const [settings] = tls;
  if (tls.some((one) => JSON.stringify(one) !== JSON.stringify(settings))) {
    const what =
      "the BackendTLSPolicies of a rule's backends differ, and a service of Perch has one `tls`: the first is written";
    draft.note(where, what);
  }
  return {
    ...(protocols.size === 1 && protocols.has("http2") ? { protocol: "http2" } : {}),
    ...(settings === undefined || Object.keys(settings).length === 0 ? {} : { tls: settings }),
  };
}

/** A backend that only gets mirrored requests becomes a version with weight zero. */
function mirrored(
  backends: readonly Backend[],
  mirror: SourceObject,
  manifest: Manifest,
  reader: BackendReader,
): readonly Backend[] {
  const [target] = reader.read([mirror.object("backendRef")], manifest).valid;
  const fraction = mirror.object("fraction");
  const share = (fraction.number("numerator") ?? 0) / (fraction.number("denominator") ?? 100);
  const mirrorPercent = mirror.number("percent") ?? (mirror.has("fraction") ? share * 100 : 100);
  if (target === undefined) return backends;
  const known = backends.some(({ origin }) => origin === target.origin);
  const all = known ? backends : [...backends, { ...target, weight: 0 }];
  return all.map((one) => (one.origin === target.origin ? { ...one, mirrorPercent } : one));
}
