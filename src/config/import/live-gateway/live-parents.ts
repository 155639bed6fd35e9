import type { Attachment } from "../gateway-api/attachments.ts";
import type { Attached, HiddenRoute } from "../gateway-api/gateway-api.ts";
import { gatewayGroup } from "../gateway-api/gateways.ts";
import { type Hostname, intersection } from "../hostnames.ts";
import type { Manifest } from "../manifests.ts";
import type { Loose, SourceObject } from "../source-object.ts";
import type { Problem } from "./conditions.ts";
import { isProgrammed, isUsable, type LiveListener, type LiveListeners } from "./live-listeners.ts";

/** A parentRef of a route that names a Gateway of ours. */
export interface LiveParent {
  /** As the route has it. */
  readonly reference: Loose;
  readonly gateway: Manifest;
  readonly notAccepted: Problem | undefined;
  /** What of the route older Gateways have; undefined if it gets all of its requests. */
  readonly hidden?: string | undefined;
}

export interface FoundParents {
  readonly parents: readonly LiveParent[];
  readonly attachments: readonly Attachment[];
}

/**
 * Which listeners take a route, by the rules of the specification. `gateways`: by age. `hostnames`: those of the route; if it has none, every
 * host is its own. With a problem instead, none of its hostnames has an equivalent, so no listener takes it.
 */
export function parentsOf(
  route: Manifest,
  hostnames: readonly Hostname[] | Problem,
  gateways: readonly Manifest[],
  listeners: LiveListeners,
): FoundParents {
  const parents: LiveParent[] = [];
  const taken = new Set<LiveListener>();
  for (const ref of route.spec.objects("parentRefs")) {
    const gateway = gatewayOf(ref, route, gateways);
    if (gateway === undefined) continue;
    const found =
      "reason" in hostnames ? hostnames : listenersFor(ref, route, hostnames, listeners.of(gateway), listeners);
    parents.push({ reference: referenceOf(ref), gateway, notAccepted: "reason" in found ? found : undefined });
    if ("reason" in found) continue;
    for (const listener of found) {
      listener.attached.add(route);
      taken.add(listener);
    }
  }
  const attachments = [...taken].filter(isProgrammed).map((listener): Attachment => {
    const { scheme, hostname } = listener;
    return {
      listener: listeners.nameOf(listener),
      scheme,
      hostname,
      source: listener,
      age: gateways.indexOf(listener.gateway),
    };
  });
  return { parents, attachments };
}

/** The parents of a route with what older Gateways have of it: `hidden`. Where that is all, it is not attached. */
export function parentsBeside(
  hidden: readonly HiddenRoute[],
  { parents, attached }: { readonly parents: readonly LiveParent[]; readonly attached: Attached },
  gateways: readonly Manifest[],
  listeners: LiveListeners,
): readonly LiveParent[] {
  if (hidden.length === 0) return parents;
  return parents.map((parent) => {
    const age = gateways.indexOf(parent.gateway);
    const lost = hidden.filter(({ route }) => route.listenerMatch.age === age);
    if (lost.length === 0 || parent.notAccepted !== undefined) return parent;
    const why = whoseRequests(lost, gateways);
    const all = attached.routes.filter(({ listenerMatch }) => listenerMatch.age === age);
    if (lost.length < all.length) return { ...parent, hidden: why };
    for (const listener of listeners.of(parent.gateway)) listener.attached.delete(attached.manifest);
    return { ...parent, notAccepted: { reason: "HostnameConflict", message: why } };
  });
}

function whoseRequests(hidden: readonly HiddenRoute[], gateways: readonly Manifest[]): string {
  const hosts = new Set(hidden.map(({ route }) => route.listenerMatch.host || "all hosts"));
  const [first] = hidden;
  const { namespace = "", name = "" } = gateways[first?.age ?? 0] ?? {};
  return `requests for ${[...hosts].join(", ")} are those of Gateway ${namespace}/${name}, which is older`;
}

function gatewayOf(ref: SourceObject, route: Manifest, gateways: readonly Manifest[]): Manifest | undefined {
  if ((ref.text("kind") || "Gateway") !== "Gateway" || (ref.text("group") || gatewayGroup) !== gatewayGroup) {
    return undefined;
  }
  const namespace = ref.text("namespace") || route.namespace;
  const name = ref.text("name");
  return gateways.find((one) => one.namespace === namespace && one.name === name);
}

function listenersFor(
  ref: SourceObject,
  route: Manifest,
  hostnames: readonly Hostname[],
  ofGateway: readonly LiveListener[],
  listeners: LiveListeners,
): readonly LiveListener[] | Problem {
  const section = ref.text("sectionName");
  const port = ref.number("port");
  const named = ofGateway.filter(
    (one) => (section === "" || one.section === section) && (port === undefined || one.port === port),
  );
  if (named.length === 0) return { reason: "NoMatchingParent", message: "the Gateway has no such listener" };
  const usable = named.filter(isUsable);
  if (usable.length === 0) {
    return { reason: "NoMatchingParent", message: "the listeners that it names are not accepted themselves" };
  }
  const allowing = usable.filter((one) => listeners.allows(one, route));
  if (allowing.length === 0) {
    const names = usable.map((one) => one.section).join(", ");
    return { reason: "NotAllowedByListeners", message: `allowedRoutes of the listener ${names} do not include it` };
  }
  const wanted = hostnames.length === 0 ? [""] : hostnames;
  const fitting = allowing.filter(({ hostname }) => wanted.some((host) => intersection(hostname, host) !== undefined));
  if (fitting.length > 0) return fitting;
  const hosts = allowing.map(({ hostname }) => hostname).join(", ");
  return { reason: "NoMatchingListenerHostname", message: `none of its hostnames is one for ${hosts}` };
}

const referenceKeys = ["group", "kind", "namespace", "name", "sectionName", "port"] as const;

function referenceOf(ref: SourceObject): Loose {
  return Object.fromEntries(referenceKeys.filter((key) => ref.has(key)).map((key) => [key, ref.peek(key)]));
}
