import type { Draft } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { Router } from "./plan.ts";

/** The objects whose routes `trafficRouting` moves. Those of other kinds are noted. */
export function argoRouters(routing: SourceObject, rollout: Manifest, draft: Draft): readonly Router[] {
  const { namespace } = rollout;
  const router = (kind: string, name: string, routes: readonly string[] = []): Router => ({
    title: `${kind} ${name.includes("/") ? name : `${namespace}/${name}`}`,
    routes,
  });
  const nginx = routing.object("nginx");
  const ingresses = [nginx.text("stableIngress"), ...nginx.texts("stableIngresses")];
  const albs = [routing.object("alb").text("ingress"), ...routing.object("alb").texts("ingresses")];
  routing.object("alb").dismiss();
  const istio = routing.object("istio");
  const one = istio.object("virtualService");
  const virtualServices = [...(istio.has("virtualService") ? [one] : []), ...istio.objects("virtualServices")];
  return [
    ...[...ingresses, ...albs].filter((name) => name !== "").map((name) => router("Ingress", name)),
    ...virtualServices.map((service) => virtualService(service, namespace)),
    ...gatewayApi(routing.object("plugins"), namespace),
    ...traefikServices(routing.object("traefik"), namespace),
    ...others(routing, rollout, draft),
  ];
}

/** The name may have a namespace, as in `web.shop`. */
function virtualService(service: SourceObject, namespace: string): Router {
  const [name = "", own = namespace] = service.text("name").split(".");
  if (service.objects("tcpRoutes").length + service.objects("tlsRoutes").length === 0) {
    service.dismiss("tcpRoutes", "tlsRoutes");
  }
  return { title: `VirtualService ${own}/${name}`, routes: service.texts("routes") };
}

function gatewayApi(plugins: SourceObject, namespace: string): readonly Router[] {
  const plugin = plugins.object("argoproj-labs/gatewayAPI");
  const own = plugin.text("namespace") || namespace;
  return [
    ["HTTPRoute", "httpRoute"],
    ["GRPCRoute", "grpcRoute"],
  ].flatMap(([kind = "", key = ""]) => {
    const listed = plugin.objects(`${key}s`);
    for (const route of listed) route.dismiss("useHeaderRoutes");
    const names = [plugin.text(key), ...listed.map((route) => route.text("name"))];
    return names.filter((name) => name !== "").map((name) => ({ title: `${kind} ${own}/${name}`, routes: [] }));
  });
}

/** A TraefikService has the weights, which IngressRoutes refer to. */
function traefikServices(traefik: SourceObject, namespace: string): readonly Router[] {
  const name = traefik.text("weightedTraefikServiceName");
  return name === "" ? [] : [{ title: `TraefikService ${namespace}/${name}`, routes: [] }];
}

/** Whether a TraefikService has the weights. */
export function isOfTraefik(routing: SourceObject): boolean {
  return routing.object("traefik").text("weightedTraefikServiceName") !== "";
}

/** Objects that no importer reads: the plan gets routes of its own. */
function others(routing: SourceObject, rollout: Manifest, draft: Draft): readonly Router[] {
  const found: Router[] = [];
  // It is made for the root Service, whatever routes to that.
  routing.object("smi").dismiss("trafficSplitName");
  const name = (kind: string, of: string): void => {
    if (of === "") return;
    found.push({ title: `${kind} ${rollout.namespace}/${of}`, routes: [] });
    draft.note(titleOf(rollout), `${kind} ${of}: not imported, so set the hosts and paths of its route by hand`);
  };
  name("ApisixRoute", routing.object("apisix").object("route").text("name"));
  routing.object("apisix").dismiss();
  for (const mapping of routing.object("ambassador").texts("mappings")) name("Mapping", mapping);
  if (routing.has("appMesh")) name("AppMesh", rollout.name);
  routing.dismiss("appMesh");
  return found;
}

/** The subsets of a DestinationRule that the split is between; undefined if it is between Services. */
export function subsetsOf(routing: SourceObject): { readonly stable: string; readonly candidate: string } | undefined {
  const rule = routing.object("istio").object("destinationRule");
  rule.dismiss("name");
  const stable = rule.text("stableSubsetName");
  const candidate = rule.text("canarySubsetName");
  return stable === "" || candidate === "" ? undefined : { stable, candidate };
}
