import { parse } from "yaml";
import { type ImportedConfig, imported } from "../asked.ts";

type Loose = Record<string, unknown>;

export interface ImportedRelease extends ImportedConfig {
  readonly name: string;
  readonly release: Loose;
  readonly rollout: Loose;
}

/** Imports YAML with one plan, and finds the release that has it. */
export function importedPlan(yaml: string): ImportedRelease {
  const result = imported(yaml);
  const { releases = {} } = parse(result.config) as { releases?: Record<string, Loose> };
  const planned = Object.entries(releases).filter(([, release]) => release["rollout"] !== undefined);
  const [[name, release] = ["", {}]] = planned;
  if (planned.length !== 1) throw new Error(`${planned.length} releases have a rollout:\n${result.config}`);
  return { ...result, name, release, rollout: release["rollout"] as Loose };
}

/** Documents of one input. */
export function documents(...parts: readonly string[]): string {
  return parts.join("\n---\n");
}

/** A Service of the namespace shop with one port. */
export function service(name: string, selector = "{ app: shop }"): string {
  return `{ apiVersion: v1, kind: Service, metadata: { name: ${name}, namespace: shop }, spec: { selector: ${selector}, ports: [{ port: 8080 }] } }`;
}

/** An HTTPRoute for shop.example.com with these Services. */
export function httpRoute(name: string, stable: string, canary: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: shop }
spec:
  parentRefs: [{ name: gateway }]
  hostnames: [${name}.example.com]
  rules: [{ backendRefs: [{ name: ${stable}, port: 80, weight: 100 }, { name: ${canary}, port: 80, weight: 0 }] }]
`;
}

/** An Ingress for shop.example.com. */
export function ingress(name: string, backend: string, host = "shop.example.com"): string {
  return `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop }
spec:
  ingressClassName: nginx
  rules:
    - host: ${host}
      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: ${backend}, port: { number: 80 } } } }] }
`;
}
