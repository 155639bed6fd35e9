import type { DraftObject } from "./kubernetes-objects.ts";

const group = "gateway.networking.k8s.io";
const gatewayApi = `${group}/v1`;

interface Placed {
  readonly namespace?: string;
  readonly created?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

function metadata(name: string, { namespace = "shop", created, labels }: Placed): DraftObject["metadata"] {
  return {
    name,
    namespace,
    ...(created === undefined ? {} : { creationTimestamp: created }),
    ...(labels === undefined ? {} : { labels }),
  };
}

export const gatewayClass = (name = "perch", controllerName = "perch.dev/gateway"): DraftObject => ({
  apiVersion: gatewayApi,
  kind: "GatewayClass",
  metadata: { name },
  spec: { controllerName },
});

export const httpListener = { name: "http", port: 80, protocol: "HTTP" };

export interface GatewayParts extends Placed {
  readonly className?: string;
  readonly more?: Readonly<Record<string, unknown>>;
}

export function gateway(
  name: string,
  listeners: readonly object[] = [httpListener],
  parts: GatewayParts = {},
): DraftObject {
  const { className = "perch", more } = parts;
  const spec = { gatewayClassName: className, listeners, ...more };
  return { apiVersion: gatewayApi, kind: "Gateway", metadata: metadata(name, parts), spec };
}

export interface RouteParts extends Placed {
  readonly kind?: "HTTPRoute" | "GRPCRoute";
  readonly parents?: readonly object[];
  readonly hostnames?: readonly string[];
}

export function route(name: string, rules: readonly object[], parts: RouteParts = {}): DraftObject {
  const { kind = "HTTPRoute", parents = [{ name: "web" }], hostnames } = parts;
  const spec = { parentRefs: parents, ...(hostnames === undefined ? {} : { hostnames }), rules };
  return { apiVersion: gatewayApi, kind, metadata: metadata(name, parts), spec };
}

/** A backendRef. */
export const to = (name: string, port: number, weight?: number, more: object = {}): object => ({
  name,
  port,
  ...(weight === undefined ? {} : { weight }),
  ...more,
});

export interface ServiceParts extends Placed {
  readonly clusterIP?: string;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A Service on loopback, whose port is that of the upstream. */
export function service(name: string, port: number, parts: ServiceParts = {}): DraftObject {
  const { clusterIP = "127.0.0.1", more } = parts;
  const spec = { clusterIP, ports: [{ name: "http", port }], ...more };
  return { apiVersion: "v1", kind: "Service", metadata: metadata(name, parts), spec };
}

export function grant(namespace: string, from: object, to: object): DraftObject {
  const spec = { from: [{ group, ...from }], to: [{ group: "", ...to }] };
  return { apiVersion: `${group}/v1beta1`, kind: "ReferenceGrant", metadata: metadata("grant", { namespace }), spec };
}

/** TLS to the backends of the Service shop. */
export function backendTlsPolicy(
  validation: object = { hostname: "shop.internal", wellKnownCACertificates: "System" },
  name = "policy",
  created?: string,
): DraftObject {
  const spec = { targetRefs: [{ group: "", kind: "Service", name: "shop" }], validation };
  const placed = created === undefined ? {} : { created };
  return { apiVersion: gatewayApi, kind: "BackendTLSPolicy", metadata: metadata(name, placed), spec };
}

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): DraftObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});

/** A condition of a status, or of the part of it for a parent or listener. */
export interface StatusCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

interface Conditions {
  readonly conditions?: readonly StatusCondition[];
}

/** `type=status/reason` of each condition, in order of the types. */
export function conditionsIn(part: unknown): string[] {
  const { conditions = [] } = (part ?? {}) as Conditions;
  return conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`).toSorted();
}

export interface RouteStatus {
  readonly parents: readonly (Conditions & { readonly controllerName: string; readonly parentRef: object })[];
}
