import { type Manifest, titleOf } from "../manifests.ts";
import { isMap } from "../source-object.ts";
import type { ImportedPlan } from "./plan.ts";

const routeKinds: ReadonlySet<string> = new Set([
  "Ingress",
  "HTTPRoute",
  "GRPCRoute",
  "VirtualService",
  "IngressRoute",
  "TraefikService",
]);
/** Where these have their routes. */
const routeKeys = ["rules", "http", "defaultBackend", "backend", "routes", "weighted"] as const;

/** Whether an object of the input has routes to the plan's Services, among those that the plan names. */
export function isRouted({ routers, baseline, candidate }: ImportedPlan, manifests: readonly Manifest[]): boolean {
  const objects = manifests.filter(({ kind }) => routeKinds.has(kind));
  if (routers.length > 0) return objects.some((one) => routers.some(({ title }) => title === titleOf(one)));
  const wanted = new Set([...baseline, candidate]);
  return objects.some(({ spec, namespace }) =>
    routeKeys.some((key) => namesService(spec.peek(key), namespace, wanted)),
  );
}

/** Whether a part of a route names one of these Services: a backend of an Ingress or HTTPRoute, or a destination. */
function namesService(part: unknown, namespace: string, wanted: ReadonlySet<string>): boolean {
  if (Array.isArray(part)) return part.some((one) => namesService(one, namespace, wanted));
  if (!isMap(part)) return false;
  const own = typeof part["namespace"] === "string" ? part["namespace"] : namespace;
  const isNamed = ["name", "host", "serviceName"].some((key) => {
    const value = part[key];
    return typeof value === "string" && wanted.has(serviceIn(value, own));
  });
  return isNamed || Object.values(part).some((one) => namesService(one, namespace, wanted));
}

/** `shop`, `shop.ns` and `shop.ns.svc.cluster.local` are one Service. */
function serviceIn(text: string, namespace: string): string {
  const [name, own = namespace] = text.split(".");
  return `${name}.${own}`;
}
