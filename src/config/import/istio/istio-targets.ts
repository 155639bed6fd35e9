import type { Draft, DraftRoute } from "../draft.ts";
import { errorReply } from "../error-routes.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { perRequestWeights } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import { type WeightedBackend, weightedService } from "../weighted-versions.ts";
import type { IstioRoute } from "./istio-delegates.ts";
import type { Caller, IstioDestinations } from "./istio-destinations.ts";
import { proxiesOf } from "./istio-gateways.ts";
import { retries } from "./istio-retries.ts";
import { headerSettings, istioRedirect, routeSettings } from "./istio-route-settings.ts";

/** Where the requests of a route go. */
export interface Target extends Pick<DraftRoute, "service" | "release" | "settings"> {
  /** The Host header for the upstream; empty if it stays. */
  readonly host: string;
}

/** Undefined if the route is left out; the reason is then noted under the title of its VirtualService. */
export function targetOf(
  { route, owner }: IstioRoute,
  wantedName: string,
  root: Manifest,
  destinations: IstioDestinations,
  draft: Draft,
): Target | undefined {
  const where = titleOf(root);
  if (route.has("redirect")) {
    const redirect = istioRedirect(route.object("redirect"), where, draft);
    return redirect && { service: undefined, release: undefined, settings: { redirect }, host: "" };
  }
  if (route.has("directResponse")) return directResponse(route.object("directResponse"), where, draft);
  const caller = { namespace: owner.namespace, proxies: proxiesOf(root) };
  const { backends, host: ownHost } = backendsOf(route, caller, where, destinations, draft);
  if (backends.every(({ weight }) => weight <= 0)) {
    const why = route.has("route") ? "the weights of its destinations are 0" : "it has no destination";
    draft.leftOut(where, `the route ${wantedName} is left out: ${why}; later routes match its requests`);
    return undefined;
  }
  if (backends.filter(({ weight }) => weight > 0).length > 1) draft.note(where, perRequestWeights);
  const targets = route.objects("route").map((target) => target.object("destination"));
  const host = targets[0]?.text("host") ?? "";
  const ofService = destinations.settings(targets, caller);
  const release = ofService["balance"] === "hash" ? destinations.hashedRelease(targets[0], caller) : {};
  const wanted = {
    service: host.split(".")[0] ?? "",
    release: wantedName,
    settings: { ...ofService, ...retries(route, where, draft) },
    comment: where,
  };
  const { settings, host: routeHost } = routeSettings(route, where, draft);
  return { ...weightedService(backends, wanted, release, draft), settings, host: routeHost || ownHost };
}

/** An error of the gateway itself. Perch has no other answers of its own. */
function directResponse(response: SourceObject, where: string, draft: Draft): Target | undefined {
  const status = response.number("status");
  if (status === undefined || !Number.isInteger(status) || status < 400 || status > 599) {
    const why = `the status ${status ?? ""} has no equivalent, only those of errors have`;
    draft.leftOut(where, `${response.path} is left out: ${why}`, "protection");
    return undefined;
  }
  if (response.has("body")) draft.note(where, `${response.path}.body: no equivalent; Perch writes a body of its own`);
  response.dismiss();
  return { ...errorReply(status, draft), host: "" };
}

/** The destinations, and the Host header that a single one sets. */
function backendsOf(
  route: SourceObject,
  caller: Caller,
  where: string,
  destinations: IstioDestinations,
  draft: Draft,
): { readonly backends: readonly WeightedBackend[]; readonly host: string } {
  const targets = route.objects("route");
  const locate = (destination: SourceObject) => {
    const [origin, ...more] = destinations.origins(destination, caller, where);
    const name = destination.text("subset") || destination.text("host").split(".")[0] || "unnamed";
    return { name, origin, ...(more.length === 0 ? {} : { more }) };
  };
  let ownHost = "";
  const backends = targets.map((target): WeightedBackend => {
    const { settings, host } = headerSettings(target.object("headers"), where, draft);
    if (host !== "" && targets.length > 1) {
      draft.note(where, `${target.path}: the Host header can be set for the whole route only (rewrite.host): left out`);
    } else ownHost = host;
    return {
      ...locate(target.object("destination")),
      weight: weightOf(target, targets.length),
      ...(Object.keys(settings).length === 0 ? {} : { settings }),
    };
  });
  const mirror = mirrorOf(route);
  if (mirror === undefined || backends.length === 0) return { backends, host: ownHost };
  const { origin, ...mirrored } = locate(mirror.destination);
  const { mirrorPercent } = mirror;
  if (backends.every((backend) => backend.origin === origin)) {
    draft.note(where, `${mirror.destination.path}: a mirror of the destination itself has no equivalent: left out`);
    return { backends, host: ownHost };
  }
  if (!backends.some((backend) => backend.origin === origin)) backends.push({ ...mirrored, origin, weight: 0 });
  const all = backends.map((backend) => (backend.origin === origin ? { ...backend, mirrorPercent } : backend));
  return { backends: all, host: ownHost };
}

/** A single destination gets everything whatever its weight is, and one of several without a weight nothing. */
function weightOf(target: SourceObject, count: number): number {
  const written = target.number("weight") ?? 0;
  return count === 1 ? 100 : written;
}

/** A destination that only gets mirrored requests becomes a version with weight zero. */
function mirrorOf(
  route: SourceObject,
): { readonly destination: SourceObject; readonly mirrorPercent: number } | undefined {
  const [first] = route.objects("mirrors");
  if (first === undefined && !route.has("mirror")) return undefined;
  const destination = first === undefined ? route.object("mirror") : first.object("destination");
  const percentage = first === undefined ? route.object("mirrorPercentage") : first.object("percentage");
  const percent = percentage.number("value") ?? route.number("mirrorPercent") ?? route.number("mirror_percent");
  return { destination, mirrorPercent: percent ?? 100 };
}
