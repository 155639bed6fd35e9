import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { type Draft, pinName, type YamlMap } from "../draft.ts";
import { durationIn } from "../durations.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread, perRequestWeights } from "../notes.ts";
import { redirectedMatch } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";
import { ServicePorts, type WeightedBackend, weightedService } from "../weighted-versions.ts";
import { filterSettings } from "./http-route-filters.ts";
import { byPrecedence, matchesOf, type RankedMatch } from "./http-route-match.ts";

interface RankedRoute extends RankedMatch {
  readonly manifest: Manifest;
  readonly rule: SourceObject;
}

/** Imports HTTPRoutes. Their matches become routes in the order of precedence that Gateway API defines. */
export function importHttpRoutes(manifests: readonly Manifest[], draft: Draft): void {
  const ports = new ServicePorts(manifests, draft);
  const routes = manifests.filter(({ kind, group }) => kind === "HTTPRoute" && group === "gateway.networking.k8s.io");
  // Gateway API breaks ties by age, which the input may lack, and then by name.
  const named = routes.toSorted((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1));
  // A redirect of plain requests and the application behind it have the same match on two listeners.
  const ranked = named
    .flatMap((manifest) => rankedRoutes(manifest, draft))
    .toSorted((a, b) => byPrecedence(a, b) || Number(redirectsScheme(b)) - Number(redirectsScheme(a)));
  for (const route of ranked) addRoute(route, ports, draft);
  for (const manifest of named) noteUnread(manifest, advice, draft);
}

function redirectsScheme({ rule }: RankedRoute): boolean {
  return rule.objects("filters").some((filter) => filter.object("requestRedirect").has("scheme"));
}

const advice: Readonly<Record<string, Advice>> = {
  sectionName: { text: "not imported: the routes apply on every listener" },
  port: { text: "not imported: the routes apply on every listener" },
  backoff: { text: "no equivalent: Perch retries at once, on another endpoint if there is one" },
  idleTimeout: { text: "no equivalent" },
  sessionPersistence: {
    text: "not imported for a rule with one backend: for a session on one Pod use a headless Service and `balance: hash`",
  },
};

function rankedRoutes(manifest: Manifest, draft: Draft): RankedRoute[] {
  const { spec } = manifest;
  for (const parent of spec.objects("parentRefs")) parent.dismiss("group", "kind", "name", "namespace");
  const written = spec.texts("hostnames").map((host) => host.toLowerCase());
  const hosts = written.filter((host) => accepts(hostPattern, host));
  for (const host of written.filter((one) => !hosts.includes(one))) {
    draft.leftOut(titleOf(manifest), `the hostname ${host} has no equivalent: left out`);
  }
  if (hosts.length === 0 && spec.has("hostnames") && written.length > 0) {
    spec.dismiss("rules");
    return [];
  }
  return spec.objects("rules").flatMap((rule) =>
    // One match per host, since precedence depends on the host.
    (hosts.length === 0 ? [""] : hosts).flatMap((host) =>
      matchesOf(rule, host === "" ? [] : [host], titleOf(manifest), draft).map((match) => ({
        ...match,
        host,
        manifest,
        rule,
      })),
    ),
  );
}

function addRoute({ manifest, rule, match }: RankedRoute, ports: ServicePorts, draft: Draft): void {
  const where = titleOf(manifest);
  const { path } = match;
  const matchesPrefix = path === undefined || (typeof path === "object" && "prefix" in path);
  const filters = filterSettings(rule, matchesPrefix, where, draft);
  const name = draft.name("route", rule.text("name") || manifest.name);
  if ("problem" in filters) {
    draft.leftOut(where, `${filters.problem}, so the rule is left out; later routes match its requests`);
    rule.dismiss();
    return;
  }
  const { redirect } = filters.settings;
  if (redirect !== undefined) {
    const narrowed = redirectedMatch(match, redirect);
    draft.routes.push({
      name,
      match: narrowed,
      service: undefined,
      release: undefined,
      settings: { redirect },
      comment: where,
    });
    return;
  }
  const backends = rule.objects("backendRefs").flatMap((ref) => backend(ref, manifest, ports, draft));
  if (backends.every(({ weight }) => weight <= 0)) {
    const why = "without a Service as its backend, or with weights of 0 only, returned 500";
    draft.leftOut(where, `a rule ${why}; it is left out, so later routes match its requests`);
    rule.dismiss();
    return;
  }
  const served = filters.mirror === undefined ? backends : mirrored(backends, filters.mirror, manifest, ports, draft);
  const settings = { ...filters.settings, ...timeouts(rule) };
  const wanted = {
    service: backends[0]?.name ?? manifest.name,
    release: manifest.name,
    settings: retries(rule, where, draft),
    comment: where,
  };
  const release = backends.length < 2 ? {} : sticky(rule, where, draft);
  draft.routes.push({ name, match, ...weightedService(served, wanted, release, draft), settings, comment: where });
}

function backend(ref: SourceObject, manifest: Manifest, ports: ServicePorts, draft: Draft): WeightedBackend[] {
  const where = titleOf(manifest);
  const name = ref.text("name");
  const kind = ref.text("kind") || "Service";
  ref.dismiss("group");
  if (name === "" || kind !== "Service") {
    draft.note(where, `a backend of kind ${kind} is not a Service: left out`);
    ref.dismiss();
    return [];
  }
  if (ref.objects("filters").length > 0) {
    draft.note(where, `filters of the backend ${name} are not imported: add them to the version by hand`);
    ref.dismiss("filters");
  }
  const origin = ports.origin("http", ref.text("namespace") || manifest.namespace, name, ref.number("port"), where);
  return [{ name, origin, weight: ref.number("weight") ?? 1 }];
}

/** A backend that only gets mirrored requests becomes a version with weight zero. */
function mirrored(
  backends: readonly WeightedBackend[],
  mirror: SourceObject,
  manifest: Manifest,
  ports: ServicePorts,
  draft: Draft,
): readonly WeightedBackend[] {
  const [target] = backend(mirror.object("backendRef"), manifest, ports, draft);
  const fraction = mirror.object("fraction");
  const share = (fraction.number("numerator") ?? 0) / (fraction.number("denominator") ?? 100);
  const mirrorPercent = mirror.number("percent") ?? (mirror.has("fraction") ? share * 100 : 100);
  if (target === undefined) return backends;
  const known = backends.some(({ origin }) => origin === target.origin);
  const all = known ? backends : [...backends, { ...target, weight: 0 }];
  return all.map((one) => (one.origin === target.origin ? { ...one, mirrorPercent } : one));
}

/**
 * `request` limits the whole request with retries; `backendRequest` one attempt, which Perch limits by
 * `responseHeaders`.
 */
function timeouts(rule: SourceObject): YamlMap {
  const written = rule.object("timeouts");
  const total = written.take("request", durationIn) ?? "";
  const responseHeaders = written.take("backendRequest", durationIn) ?? "";
  const found = { ...(total === "" ? {} : { total }), ...(responseHeaders === "" ? {} : { responseHeaders }) };
  return Object.keys(found).length === 0 ? {} : { timeouts: found };
}

const retried: readonly number[] = [500, 502, 503, 504];
const maxAttempts = 10;

/** GEP-1731. Failed connections are always retried, as it recommends. */
function retries(rule: SourceObject, where: string, draft: Draft): YamlMap {
  if (!rule.has("retry")) return {};
  const retry = rule.object("retry");
  const attempts = retry.number("attempts");
  const codes = retry.texts("codes");
  const others = codes.filter((code) => !retried.includes(Number(code)));
  if (others.length > 0) {
    draft.note(where, `${retry.path}.codes: ${others.join(", ")} cannot be retried, only ${retried.join(", ")}`);
  }
  if (attempts !== undefined && attempts > maxAttempts) {
    draft.note(where, `${retry.path}.attempts: the maximum is ${maxAttempts}`);
  }
  draft.note(where, `${retry.path}: statuses are retried for idempotent methods only`);
  const on = codes.map(Number).filter((code) => retried.includes(code));
  return {
    retries: {
      ...(attempts === undefined ? {} : { attempts: Math.min(Math.max(0, Math.floor(attempts)), maxAttempts) }),
      on: on.length === 0 ? ["connect-failure", "reset-before-response"] : on,
    },
  };
}

/** GEP-1619: a session stays with its backend, even if the backend's weight becomes zero. */
function sticky(rule: SourceObject, where: string, draft: Draft): YamlMap {
  if (!rule.has("sessionPersistence")) {
    draft.note(where, perRequestWeights);
    return {};
  }
  const persistence = rule.object("sessionPersistence");
  const isHeader = persistence.text("type") === "Header";
  if (isHeader) {
    draft.note(where, `${persistence.path}.type Header: no equivalent; Perch keeps users by a cookie instead`);
    persistence.dismiss("sessionName");
  }
  const maxAge = persistence.take("absoluteTimeout", durationIn) ?? "";
  const lifetime = persistence.object("cookieConfig").text("lifetimeType") || "Session";
  // The default of GEP-1619: a session of the browser, which an absolute time-out bounds as well.
  const ofSession = lifetime === "Session" && maxAge === "" ? "session" : maxAge;
  if (lifetime === "Session" && maxAge !== "") {
    draft.note(
      where,
      `${persistence.path}: the cookie ended with the browser's session too; the pin is kept for ${maxAge}`,
    );
  }
  const name = persistence.take("sessionName", pinName);
  const cookie = { ...(name === undefined ? {} : { name }), ...(ofSession === "" ? {} : { maxAge: ofSession }) };
  return {
    sticky: {
      whenWeightsChange: "hold",
      onWeightZero: "drain",
      ...(Object.keys(cookie).length === 0 ? {} : { cookie }),
    },
  };
}
