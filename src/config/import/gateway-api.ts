import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { filterSettings } from "./http-route-filters.ts";
import { byPrecedence, matchesOf, type RankedMatch } from "./http-route-match.ts";
import { type Loose, type Manifest, mapIn, mapsIn, numberIn, textIn, textsIn, titleOf } from "./manifests.ts";
import { ServicePorts, type WeightedBackend, weightedService } from "./weighted-versions.ts";

interface RankedRoute extends RankedMatch {
  readonly manifest: Manifest;
  readonly rule: Loose;
}

/** Takes over HTTPRoutes, their matches in the order of precedence that Gateway API lays down. */
export function importHttpRoutes(manifests: readonly Manifest[], draft: Draft): void {
  const ports = new ServicePorts(manifests, draft);
  const routes = manifests.filter(({ kind, group }) => kind === "HTTPRoute" && group === "gateway.networking.k8s.io");
  // Equals are ordered by name, where the input does not tell which is older.
  const named = routes.toSorted((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1));
  const ranked = named.flatMap((manifest) => rankedRoutes(manifest, draft)).toSorted(byPrecedence);
  for (const route of ranked) addRoute(route, ports, draft);
}

function rankedRoutes(manifest: Manifest, draft: Draft): RankedRoute[] {
  const hosts = textsIn(manifest.spec["hostnames"]).map((host) => host.toLowerCase());
  return mapsIn(manifest.spec["rules"]).flatMap((rule) =>
    // Each host has a place of its own in the order.
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
  const settings = { ...filterSettings(rule["filters"], where, draft), ...timeouts(rule) };
  const name = draft.name("route", manifest.name);
  if (settings["redirect"] !== undefined) {
    const { redirect } = settings;
    draft.routes.push({ name, match, service: undefined, release: undefined, settings: { redirect }, comment: where });
    return;
  }
  const backends = mapsIn(rule["backendRefs"]).flatMap((ref) => backend(ref, manifest, ports, draft));
  if (backends.length === 0) {
    draft.note(
      where,
      "a rule without a backend that is a Service answered 500; it is left out, so the next one answers",
    );
    return;
  }
  const first = backends[0]?.name ?? manifest.name;
  const wanted = { service: first, release: manifest.name, settings: {}, comment: where };
  draft.routes.push({
    name,
    match,
    ...weightedService(backends, wanted, backends.length < 2 ? {} : sticky(rule, where, draft), draft),
    settings,
    comment: where,
  });
}

function backend(ref: Loose, manifest: Manifest, ports: ServicePorts, draft: Draft): WeightedBackend[] {
  const where = titleOf(manifest);
  const name = textIn(ref["name"]);
  const kind = textIn(ref["kind"]) || "Service";
  if (name === "" || kind !== "Service") {
    draft.note(where, `a backend of kind ${kind} is no Service: left out`);
    return [];
  }
  if (mapsIn(ref["filters"]).length > 0)
    draft.note(where, `filters of the backend ${name}: give them to the version by hand`);
  const namespace = textIn(ref["namespace"]) || manifest.namespace;
  const port = numberIn(ref["port"]);
  const origin = ports.origin("http", namespace, name, port, where);
  return [{ name, origin, weight: numberIn(ref["weight"]) ?? 1 }];
}

/** `request` bounds the whole, retries included; `backendRequest` one attempt, which Perch bounds by its answer's head. */
function timeouts(rule: Loose): Record<string, YamlValue> {
  const { request, backendRequest } = mapIn(rule["timeouts"]);
  const total = duration(textIn(request));
  const responseHeaders = duration(textIn(backendRequest));
  const found = { ...(total === "" ? {} : { total }), ...(responseHeaders === "" ? {} : { responseHeaders }) };
  return Object.keys(found).length === 0 ? {} : { timeouts: found };
}

/** Durations of GEP-2257, of which Perch takes one unit at a time: 1h30m is 5400s. Zero is no limit. */
function duration(text: string): string {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  let ms = 0;
  for (const [, count = "", unit = ""] of text.matchAll(/(\d{1,5})(h|ms|m|s)/g))
    ms += Number(count) * (units[unit] ?? 0);
  return ms === 0 ? "" : ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** GEP-1619: a session stays with its backend, also when its weight falls to zero. */
function sticky(rule: Loose, where: string, draft: Draft): YamlMap {
  const persistence = mapIn(rule["sessionPersistence"]);
  if (Object.keys(persistence).length === 0) {
    draft.note(
      where,
      "each request was drawn by the weights anew; Perch keeps each user on one version, by a signed cookie",
    );
    return {};
  }
  const maxAge = duration(textIn(persistence["absoluteTimeout"]));
  return {
    sticky: {
      whenWeightsChange: "hold",
      onWeightZero: "drain",
      ...(maxAge === "" ? {} : { cookie: { maxAge } }),
    },
  };
}
