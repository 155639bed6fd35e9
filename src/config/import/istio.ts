import { type Draft, type DraftRoute, headerEdits, type YamlMap, type YamlValue } from "./draft.ts";
import { IstioDestinations } from "./istio-destinations.ts";
import { matchesOf } from "./istio-match.ts";
import { type Loose, type Manifest, mapIn, mapsIn, numberIn, textIn, textsIn, titleOf } from "./manifests.ts";
import { ServicePorts, type WeightedBackend, weightedService } from "./weighted-versions.ts";

/** Imports VirtualServices with the DestinationRules of their hosts. Routes keep their order: the first match wins. */
export function importVirtualServices(manifests: readonly Manifest[], draft: Draft): void {
  const destinations = new IstioDestinations(manifests, new ServicePorts(manifests, draft), draft);
  for (const manifest of manifests) {
    if (manifest.kind !== "VirtualService" || manifest.group !== "networking.istio.io") continue;
    for (const route of mapsIn(manifest.spec["http"])) addRoute(route, manifest, destinations, draft);
    for (const protocol of ["tls", "tcp"]) {
      if (manifest.spec[protocol] !== undefined)
        draft.note(titleOf(manifest), `${protocol} routes: Perch serves HTTP only`);
    }
  }
}

function addRoute(route: Loose, manifest: Manifest, destinations: IstioDestinations, draft: Draft): void {
  const where = titleOf(manifest);
  const wantedName = textIn(route["name"]) || manifest.name;
  const target = targetOf(route, wantedName, manifest, destinations, draft);
  if (target === undefined) {
    draft.note(
      where,
      `the route ${wantedName} has no destination that Perch supports (directResponse or delegate): left out`,
    );
    return;
  }
  for (const match of matchesOf(route, hostsOf(manifest), where, draft)) {
    draft.routes.push({ name: draft.name("route", wantedName), match, ...target, comment: where });
  }
}

/** A short name is a Service, which callers in the mesh may address in any of these forms. */
function hostsOf({ spec, namespace }: Manifest): string[] {
  const hosts = textsIn(spec["hosts"]).map((host) => host.toLowerCase());
  if (hosts.includes("*")) return [];
  return hosts.flatMap((host) =>
    host.includes(".") ? [host] : [host, `${host}.${namespace}`, `${host}.${namespace}.svc.cluster.local`],
  );
}

function targetOf(
  route: Loose,
  wantedName: string,
  manifest: Manifest,
  destinations: IstioDestinations,
  draft: Draft,
): Pick<DraftRoute, "service" | "release" | "settings"> | undefined {
  const where = titleOf(manifest);
  const redirect = mapIn(route["redirect"]);
  if (Object.keys(redirect).length > 0) {
    return { service: undefined, release: undefined, settings: { redirect: redirectOf(redirect) } };
  }
  const backends = backendsOf(route, manifest, destinations, draft);
  if (backends.length === 0) return undefined;
  if (backends.filter(({ weight }) => weight > 0).length > 1) {
    const note =
      "the weights applied to each request separately; Perch keeps each user on one version with a signed cookie";
    draft.note(where, note);
  }
  const host = textIn(mapIn(mapsIn(route["route"])[0]?.["destination"])["host"]);
  const wanted = {
    service: host.split(".")[0] ?? "",
    release: wantedName,
    settings: {
      ...destinations.settings(host, manifest.namespace),
      ...retries(mapIn(route["retries"]), where, draft),
    },
    comment: where,
  };
  return { ...weightedService(backends, wanted, {}, draft), settings: routeSettings(route, where, draft) };
}

function redirectOf(redirect: Loose): YamlMap {
  const port = numberIn(redirect["port"]);
  return {
    ...(textIn(redirect["scheme"]) === "" ? {} : { scheme: textIn(redirect["scheme"]) }),
    ...(textIn(redirect["authority"]) === "" ? {} : { host: textIn(redirect["authority"]) }),
    ...(port === undefined ? {} : { port }),
    ...(textIn(redirect["uri"]) === "" ? {} : { path: textIn(redirect["uri"]) }),
    status: numberIn(redirect["redirectCode"]) ?? 301,
  };
}

function backendsOf(
  route: Loose,
  manifest: Manifest,
  destinations: IstioDestinations,
  draft: Draft,
): WeightedBackend[] {
  const targets = mapsIn(route["route"]);
  const locate = (destination: Loose) => ({
    name: textIn(destination["subset"]) || textIn(destination["host"]).split(".")[0] || "unnamed",
    origin: destinations.origin(destination, manifest.namespace, titleOf(manifest)),
  });
  const backends = targets.map((target): WeightedBackend => {
    const settings = headerSettings(mapIn(target["headers"]), titleOf(manifest), draft);
    return {
      ...locate(mapIn(target["destination"])),
      // Istio: without a weight a single destination gets everything, and one of several nothing.
      weight: numberIn(target["weight"]) ?? (targets.length === 1 ? 100 : 0),
      ...(Object.keys(settings).length === 0 ? {} : { settings }),
    };
  });
  const mirror = mirrorOf(route);
  if (mirror === undefined || backends.length === 0) return backends;
  const { name, origin } = locate(mirror.destination);
  const { mirrorPercent } = mirror;
  if (!backends.some((backend) => backend.origin === origin)) backends.push({ name, origin, weight: 0 });
  return backends.map((backend) => (backend.origin === origin ? { ...backend, mirrorPercent } : backend));
}

/** A destination that only gets mirrored requests becomes a version with weight zero. */
function mirrorOf(route: Loose): { readonly destination: Loose; readonly mirrorPercent: number } | undefined {
  const [first] = mapsIn(route["mirrors"]);
  const destination = mapIn(first?.["destination"] ?? route["mirror"]);
  if (Object.keys(destination).length === 0) return undefined;
  const percentage = mapIn(first?.["percentage"] ?? route["mirrorPercentage"]);
  return { destination, mirrorPercent: numberIn(percentage["value"]) ?? numberIn(route["mirrorPercent"]) ?? 100 };
}

/**
 * Without a policy nothing is needed: like Istio, Perch by default retries requests that never reached the upstream.
 */
function retries(policy: Loose, where: string, draft: Draft): YamlMap {
  const attempts = numberIn(policy["attempts"]);
  if (attempts === undefined || attempts === 0) return {};
  if (textIn(policy["perTryTimeout"]) !== "") {
    draft.note(
      where,
      "retries.perTryTimeout is not imported: the service's `timeouts.responseHeaders` limits each attempt",
    );
  }
  const causes = textIn(policy["retryOn"])
    .split(",")
    .map((word) => word.trim());
  const statuses = causes.filter((word) => /^50[234]$/.test(word));
  const gateway = causes.some((word) => word === "5xx" || word === "gateway-error") ? ["502", "503", "504"] : statuses;
  return { retries: { attempts, on: ["connect-failure", "reset-before-response", ...gateway] } };
}

function routeSettings(route: Loose, where: string, draft: Draft): YamlMap {
  const total = textIn(route["timeout"]);
  const rewrite = mapIn(route["rewrite"]);
  const edits = {
    ...(textIn(rewrite["authority"]) === "" ? {} : { host: textIn(rewrite["authority"]) }),
    ...(textIn(rewrite["uri"]) === "" ? {} : { prefix: textIn(rewrite["uri"]) }),
  };
  if (route["corsPolicy"] !== undefined) draft.note(where, "corsPolicy: no equivalent; handle CORS in the service");
  return {
    ...headerSettings(mapIn(route["headers"]), where, draft),
    ...(Object.keys(edits).length === 0 ? {} : { rewrite: edits }),
    ...(total === "" || total === "0s" ? {} : { timeouts: { total } }),
    ...fault(mapIn(route["fault"])),
  };
}

function headerSettings(headers: Loose, where: string, draft: Draft): YamlMap {
  const edits = (operations: Loose): YamlMap => {
    const pairs = (map: unknown) => Object.entries(mapIn(map)).map(([name, value]) => [name, textIn(value)] as const);
    const { set, add, remove } = operations;
    return headerEdits({ set: pairs(set), add: pairs(add), remove: textsIn(remove) }, where, draft);
  };
  const request = edits(mapIn(headers["request"]));
  const response = edits(mapIn(headers["response"]));
  return {
    ...(Object.keys(request).length === 0 ? {} : { requestHeaders: request }),
    ...(Object.keys(response).length === 0 ? {} : { responseHeaders: response }),
  };
}

function fault(injection: Loose): YamlMap {
  const delay = mapIn(injection["delay"]);
  const abort = mapIn(injection["abort"]);
  const percent = (of: Loose): YamlValue =>
    numberIn(mapIn(of["percentage"])["value"]) ?? numberIn(of["percent"]) ?? 100;
  const found: YamlMap = {
    ...(textIn(delay["fixedDelay"]) === ""
      ? {}
      : { delay: { for: textIn(delay["fixedDelay"]), percent: percent(delay) } }),
    ...(numberIn(abort["httpStatus"]) === undefined
      ? {}
      : { abort: { status: numberIn(abort["httpStatus"]) ?? 503, percent: percent(abort) } }),
  };
  return Object.keys(found).length === 0 ? {} : { fault: found };
}
