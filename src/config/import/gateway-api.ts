import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { filterSettings } from "./http-route-filters.ts";
import { byPrecedence, matchesOf, type RankedMatch } from "./http-route-match.ts";
import { type Loose, type Manifest, mapIn, mapsIn, numberIn, textIn, textsIn, titleOf } from "./manifests.ts";
import { ServicePorts, type WeightedBackend, weightedService } from "./weighted-versions.ts";

interface RankedRoute extends RankedMatch {
  readonly manifest: Manifest;
  readonly rule: Loose;
}

/** Imports HTTPRoutes. Their matches become routes in the order of precedence that Gateway API defines. */
export function importHttpRoutes(manifests: readonly Manifest[], draft: Draft): void {
  const ports = new ServicePorts(manifests, draft);
  const routes = manifests.filter(({ kind, group }) => kind === "HTTPRoute" && group === "gateway.networking.k8s.io");
  // Gateway API breaks ties by age, which the input may lack, and then by name.
  const named = routes.toSorted((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1));
  const ranked = named.flatMap((manifest) => rankedRoutes(manifest, draft)).toSorted(byPrecedence);
  for (const route of ranked) addRoute(route, ports, draft);
}

function rankedRoutes(manifest: Manifest, draft: Draft): RankedRoute[] {
  const hosts = textsIn(manifest.spec["hostnames"]).map((host) => host.toLowerCase());
  return mapsIn(manifest.spec["rules"]).flatMap((rule) =>
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
      "a rule without a Service as its backend returned 500; it is left out, so later routes match its requests",
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
    draft.note(where, `a backend of kind ${kind} is not a Service: left out`);
    return [];
  }
  if (mapsIn(ref["filters"]).length > 0)
    draft.note(where, `filters of the backend ${name} are not imported: add them to the version by hand`);
  const namespace = textIn(ref["namespace"]) || manifest.namespace;
  const port = numberIn(ref["port"]);
  const origin = ports.origin("http", namespace, name, port, where);
  return [{ name, origin, weight: numberIn(ref["weight"]) ?? 1 }];
}

/**
 * `request` limits the whole request with retries; `backendRequest` one attempt, which Perch limits by
 * `responseHeaders`.
 */
function timeouts(rule: Loose): Record<string, YamlValue> {
  const { request, backendRequest } = mapIn(rule["timeouts"]);
  const total = duration(textIn(request));
  const responseHeaders = duration(textIn(backendRequest));
  const found = { ...(total === "" ? {} : { total }), ...(responseHeaders === "" ? {} : { responseHeaders }) };
  return Object.keys(found).length === 0 ? {} : { timeouts: found };
}

/** Converts a duration of GEP-2257: `1h30m` to `5400s`. Empty for zero, which means no limit. */
function duration(text: string): string {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  let ms = 0;
  for (const [, count = "", unit = ""] of text.matchAll(/(\d{1,5})(h|ms|m|s)/g))
    ms += Number(count) * (units[unit] ?? 0);
  return ms === 0 ? "" : ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** GEP-1619: a session stays with its backend, even if the backend's weight becomes zero. */
function sticky(rule: Loose, where: string, draft: Draft): YamlMap {
  const persistence = mapIn(rule["sessionPersistence"]);
  if (Object.keys(persistence).length === 0) {
    draft.note(
      where,
      "the weights applied to each request separately; Perch keeps each user on one version with a signed cookie",
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
