import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, DraftRoute } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread, perRequestWeights } from "../notes.ts";
import { redirectedMatch } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";
import { ServicePorts, type WeightedBackend, weightedService } from "../weighted-versions.ts";
import { IstioDestinations } from "./istio-destinations.ts";
import { matchesOf } from "./istio-match.ts";
import { headerSettings, istioRedirect, pathRewrite, retries, routeSettings } from "./istio-route-settings.ts";

/** Imports VirtualServices with the DestinationRules of their hosts. Routes keep their order: the first match wins. */
export function importVirtualServices(manifests: readonly Manifest[], draft: Draft): void {
  const ofIstio = manifests.filter(({ group }) => group === "networking.istio.io");
  const services = ofIstio.filter(({ kind }) => kind === "VirtualService");
  const rules = ofIstio.filter(({ kind }) => kind === "DestinationRule");
  const destinations = new IstioDestinations(rules, new ServicePorts(manifests, draft), draft);
  for (const manifest of services) {
    // Who may see it in the mesh.
    manifest.spec.dismiss("exportTo");
    const hosts = hostsOf(manifest, draft);
    for (const route of manifest.spec.objects("http")) {
      if (hosts === undefined) route.dismiss();
      else addRoute(route, hosts, manifest, destinations, draft);
    }
  }
  for (const manifest of [...services, ...rules]) noteUnread(manifest, advice, draft);
}

const advice: Readonly<Record<string, Advice>> = {
  tls: { text: "Perch serves HTTP only", isRoute: true },
  tcp: { text: "Perch serves HTTP only", isRoute: true },
  gateways: { text: "no equivalent: the routes apply on every listener" },
  allowOrigins: { text: "no equivalent; `cors` knows exact origins, hosts below a domain, and any" },
  mirrors: { text: "a release mirrors to one version only" },
  httpHeaderName: {
    text: "not imported: `balance: hash` uses the release's unit, which `sticky.by` can take from a header",
  },
  httpCookie: { text: "not imported: `balance: hash` uses the release's unit, which is in the pin's cookie" },
};

/** Undefined if no host is left; then it is noted. Empty: any host. */
function hostsOf(manifest: Manifest, draft: Draft): readonly string[] | undefined {
  const { spec, namespace } = manifest;
  const written = spec.texts("hosts").map((host) => host.toLowerCase());
  if (written.includes("*")) return [];
  const usable = written.filter((host) => accepts(hostPattern, host));
  for (const host of written.filter((one) => !usable.includes(one))) {
    draft.leftOut(titleOf(manifest), `the host ${host} has no equivalent: left out`);
  }
  if (usable.length === 0) {
    draft.leftOut(
      titleOf(manifest),
      "without a host it has no requests of its own (a delegate?): its routes are left out",
    );
    return undefined;
  }
  // A short name is a Service, which callers in the mesh may address in any of these forms.
  return usable.flatMap((host) =>
    host.includes(".") ? [host] : [host, `${host}.${namespace}`, `${host}.${namespace}.svc.cluster.local`],
  );
}

function addRoute(
  route: SourceObject,
  hosts: readonly string[],
  manifest: Manifest,
  destinations: IstioDestinations,
  draft: Draft,
): void {
  const where = titleOf(manifest);
  const wantedName = route.text("name") || manifest.name;
  const matches = matchesOf(route, hosts, where, draft);
  const target = matches.length === 0 ? undefined : targetOf(route, wantedName, manifest, destinations, draft);
  if (target === undefined) {
    route.dismiss();
    return;
  }
  const { host, ...rest } = target;
  for (const { match, uri } of matches) {
    const rewrite = {
      ...(host === "" ? {} : { host }),
      ...(rest.service === undefined ? {} : pathRewrite(route, uri, where, draft)),
    };
    const settings = { ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }), ...rest.settings };
    const { redirect } = rest.settings;
    const narrowed = redirect === undefined ? match : redirectedMatch(match, redirect);
    draft.routes.push({ name: draft.name("route", wantedName), match: narrowed, ...rest, settings, comment: where });
  }
}

interface Target extends Pick<DraftRoute, "service" | "release" | "settings"> {
  /** The Host header for the upstream; empty if it stays. */
  readonly host: string;
}

/** Undefined if the route is left out; the reason is then noted. */
function targetOf(
  route: SourceObject,
  wantedName: string,
  manifest: Manifest,
  destinations: IstioDestinations,
  draft: Draft,
): Target | undefined {
  const where = titleOf(manifest);
  if (route.has("redirect")) {
    const redirect = istioRedirect(route.object("redirect"), where, draft);
    return redirect && { service: undefined, release: undefined, settings: { redirect }, host: "" };
  }
  const { backends, host: ownHost } = backendsOf(route, manifest, destinations, draft);
  if (backends.every(({ weight }) => weight <= 0)) {
    const why = "has no destination that Perch supports (directResponse, delegate, or weights of 0)";
    draft.leftOut(where, `the route ${wantedName} ${why}: left out, so later routes match its requests`);
    return undefined;
  }
  if (backends.filter(({ weight }) => weight > 0).length > 1) draft.note(where, perRequestWeights);
  const host = route.objects("route")[0]?.object("destination").text("host") ?? "";
  const wanted = {
    service: host.split(".")[0] ?? "",
    release: wantedName,
    settings: { ...destinations.settings(host, manifest.namespace), ...retries(route, where, draft) },
    comment: where,
  };
  const { settings, host: routeHost } = routeSettings(route, where, draft);
  return { ...weightedService(backends, wanted, {}, draft), settings, host: routeHost || ownHost };
}

/** The destinations, and the Host header that a single one sets. */
function backendsOf(
  route: SourceObject,
  manifest: Manifest,
  destinations: IstioDestinations,
  draft: Draft,
): { readonly backends: readonly WeightedBackend[]; readonly host: string } {
  const where = titleOf(manifest);
  const targets = route.objects("route");
  const locate = (destination: SourceObject) => ({
    name: destination.text("subset") || destination.text("host").split(".")[0] || "unnamed",
    origin: destinations.origin(destination, manifest.namespace, where),
  });
  let ownHost = "";
  const backends = targets.map((target): WeightedBackend => {
    const { settings, host } = headerSettings(target.object("headers"), where, draft);
    if (host !== "" && targets.length > 1) {
      draft.note(where, `${target.path}: the Host header can be set for the whole route only (rewrite.host): left out`);
    } else ownHost = host;
    return {
      ...locate(target.object("destination")),
      // Istio: without a weight a single destination gets everything, and one of several nothing.
      weight: target.number("weight") ?? (targets.length === 1 ? 100 : 0),
      ...(Object.keys(settings).length === 0 ? {} : { settings }),
    };
  });
  const mirror = mirrorOf(route);
  if (mirror === undefined || backends.length === 0) return { backends, host: ownHost };
  const { name, origin } = locate(mirror.destination);
  const { mirrorPercent } = mirror;
  if (!backends.some((backend) => backend.origin === origin)) backends.push({ name, origin, weight: 0 });
  const mirrored = backends.map((backend) => (backend.origin === origin ? { ...backend, mirrorPercent } : backend));
  return { backends: mirrored, host: ownHost };
}

/** A destination that only gets mirrored requests becomes a version with weight zero. */
function mirrorOf(
  route: SourceObject,
): { readonly destination: SourceObject; readonly mirrorPercent: number } | undefined {
  const [first] = route.objects("mirrors");
  if (first === undefined && !route.has("mirror")) return undefined;
  const destination = first === undefined ? route.object("mirror") : first.object("destination");
  const percentage = first === undefined ? route.object("mirrorPercentage") : first.object("percentage");
  return { destination, mirrorPercent: percentage.number("value") ?? route.number("mirrorPercent") ?? 100 };
}
