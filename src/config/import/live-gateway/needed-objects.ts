import type { GatewaySpec } from "../../compiled-config.ts";
import { routeFilters } from "../gateway-api/backends.ts";
import type { Manifest } from "../manifests.ts";
import type { Cluster } from "./cluster.ts";
import { ownClasses, ownGateways } from "./compile-gateway.ts";
import { type NamedObject, objectsOfListeners, routeKinds } from "./live-listeners.ts";
import { objectsOfPolicies } from "./tls-policies.ts";

/**
 * The Secrets and ConfigMaps that are to be read, and no others: the most important first. Namespaces take turns, and in
 * each its Gateways and its policies, since only so many objects are followed, and whoever names many must not take them
 * all.
 */
export function neededObjects(cluster: Cluster, spec: Pick<GatewaySpec, "controllerName">): readonly NamedObject[] {
  const gateways = ownGateways(cluster, ownClasses(cluster, spec)).map(({ manifest }) => manifest);
  const ofPolicies = Map.groupBy(
    objectsOfPolicies(cluster, servicesOfRoutes(cluster, gateways)),
    ({ namespace }) => namespace,
  );
  const shares = [
    ...gateways.map((gateway) => ({
      namespace: gateway.namespace,
      objects: unique(objectsOfListeners([gateway], cluster)),
    })),
    ...Array.from(ofPolicies, ([namespace, objects]) => ({ namespace, objects: unique(objects) })),
  ];
  const byNamespace = Map.groupBy(shares, ({ namespace }) => namespace);
  return unique(inTurn(Array.from(byNamespace.values(), (some) => unique(inTurn(some.map(({ objects }) => objects))))));
}

function unique(objects: readonly NamedObject[]): readonly NamedObject[] {
  return [...new Map(objects.map((one) => [`${one.kind} ${one.namespace}/${one.name}`, one])).values()];
}

/** The first of each list, then the second of each, and so on. */
function inTurn<T>(lists: readonly (readonly T[])[]): readonly T[] {
  const found: T[] = [];
  for (let at = 0, left = lists; left.length > 0; at++) {
    left = left.filter((list) => list.length > at);
    found.push(...left.flatMap((list) => list.slice(at, at + 1)));
  }
  return found;
}

/** Services that routes of these Gateways name, whether they are there and may be used or not, as `namespace/name`. */
function servicesOfRoutes(cluster: Cluster, gateways: readonly Manifest[]): ReadonlySet<string> {
  const ours = new Set(gateways.map(({ namespace, name }) => `${namespace}/${name}`));
  const routes = routeKinds
    .flatMap((kind) => cluster.all(kind))
    .map(({ manifest }) => manifest)
    .filter(({ spec, namespace: own }) =>
      spec.objects("parentRefs").some((ref) => ours.has(`${ref.text("namespace") || own}/${ref.text("name")}`)),
    );
  return new Set(routes.flatMap(servicesOf));
}

function servicesOf({ spec, namespace: own }: Manifest): readonly string[] {
  return spec.objects("rules").flatMap((rule) => {
    const refs = rule.objects("backendRefs");
    const mirrors = [...rule.objects("filters"), ...routeFilters(refs)].map((filter) =>
      filter.object("requestMirror").object("backendRef"),
    );
    return [...refs, ...mirrors].map((ref) => `${ref.text("namespace") || own}/${ref.text("name")}`);
  });
}
