import { expect, test } from "vitest";
import { Draft } from "../../../src/config/import/draft.ts";
import { importGatewayApi } from "../../../src/config/import/gateway-api/gateway-api.ts";
import { importIngresses } from "../../../src/config/import/ingress/ingress-nginx.ts";
import { importVirtualServices } from "../../../src/config/import/istio/istio.ts";
import { type Manifest, parseManifests } from "../../../src/config/import/manifests.ts";
import { ingress } from "./ingress/ingresses.ts";
import { to, virtualService } from "./istio/istio-manifests.ts";

const canary = { canary: "true", "canary-weight": "5" };
const httpRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop, namespace: shop }
spec: { rules: [{ name: Main_rule, backendRefs: [{ name: shop, port: 80 }] }] }
`;

test.each<[string, (manifests: readonly Manifest[], draft: Draft) => void, string, string[], string | undefined]>([
  [
    "an Ingress with its canary",
    importIngresses,
    [ingress("web", {}, [{ path: "/", service: "a" }]), ingress("web-c", canary, [{ path: "/", service: "b" }])].join(
      "---",
    ),
    ["Ingress shop/web", "Ingress shop/web-c"],
    undefined,
  ],
  ["a rule with a name", importGatewayApi, httpRoute, ["HTTPRoute shop/shop"], "Main_rule"],
  [
    "a route with a name",
    importVirtualServices,
    virtualService({ routes: [`{ name: Primary.route, route: [${to("shop")}] }`] }),
    ["VirtualService shop/shop"],
    "Primary.route",
  ],
])("the route of %s names the objects that it comes from", (_what, importFrom, yaml, sources, originalName) => {
  const parsed = parseManifests(yaml, "x.yaml");
  const draft = new Draft();
  importFrom(parsed.ok ? parsed.manifests : [], draft);
  expect(draft.routes.map((route) => [route.sources, route.originalName])).toEqual([[sources, originalName]]);
});
