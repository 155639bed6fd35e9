import { expect } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";

/** The result of an import whose certificates are on the machine that serves, so that no engine can be created here. */
export function converted(yaml: string): { readonly config: string; readonly notes: readonly string[] } {
  const result = importManifests([{ file: "cluster.yaml", text: yaml }]);
  if (!result.ok) throw new Error(result.problem);
  expect(result.defects).toEqual([]);
  return { config: result.config, notes: result.notes.map(({ where, what }) => `${where}: ${what}`) };
}

/** A VirtualService in the namespace shop. Without `gateways` it is of the mesh. */
export function virtualService({
  name = "shop",
  hosts = "[shop.example.com]",
  gateways = "",
  routes,
}: {
  readonly name?: string;
  readonly hosts?: string;
  readonly gateways?: string;
  readonly routes: readonly string[];
}): string {
  return `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: ${hosts}
${gateways === "" ? "" : `  gateways: ${gateways}`}
  http:
${routes.map((route) => `    - ${route}`).join("\n")}
`;
}

export function gateway(name: string, servers: readonly string[]): string {
  return `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { istio: ingressgateway }
  servers:
${servers.map((server) => `    - ${server}`).join("\n")}
`;
}

/** A destination of a route: a Service of the namespace shop. */
export function to(host: string, rest = ""): string {
  return `{ destination: { host: ${host}, port: { number: 80 } }${rest} }`;
}
