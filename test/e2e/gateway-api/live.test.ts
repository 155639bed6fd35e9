import { expect, test } from "vitest";
import { perch, upstream } from "../../kit/freed.ts";
import { conditionsIn, gateway, gatewayClass, type RouteStatus, route, service, to } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";

const config = `
kubernetes: { gateway: { ports: { 80: web }, addresses: [203.0.113.7] } }
routes: []
`;

async function cluster() {
  const api = await KubernetesApi.start();
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  api.put(gatewayClass());
  api.put(gateway("web"));
  api.put(service("shop-stable", stable.port));
  api.put(service("shop-canary", canary.port));
  const weighted = (stableWeight: number, canaryWeight: number) =>
    route("shop", [
      { backendRefs: [to("shop-stable", stable.port, stableWeight), to("shop-canary", canary.port, canaryWeight)] },
    ]);
  const start = async () => perch(config, { env: { KUBECONFIG: await api.kubeconfig() } });
  return { api, start, weighted };
}

const versionAt = async (origin: string) => (await fetch(origin)).headers.get("x-upstream");

test("a route is served, its weights are followed, and its status says so", async () => {
  const { api, start, weighted } = await cluster();
  const shop = weighted(1, 0);
  api.put(shop);
  const { origin } = await start();
  expect(await versionAt(origin)).toBe("stable");
  const statusOf = (object: typeof shop) => api.object(object)?.status;
  await expect.poll(() => statusOf(shop)).toBeDefined();
  const { parents } = statusOf(shop) as RouteStatus;
  expect(parents).toHaveLength(1);
  expect(parents[0]).toMatchObject({ controllerName: "perch.dev/gateway", parentRef: { name: "web" } });
  expect(conditionsIn(parents[0])).toEqual(["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"]);
  await expect
    .poll(() => conditionsIn(statusOf(gateway("web"))))
    .toEqual(["Accepted=True/Accepted", "Programmed=True/Programmed"]);
  expect(conditionsIn(statusOf(gatewayClass()))).toEqual(["Accepted=True/Accepted"]);
  api.put(weighted(0, 1));
  await expect.poll(() => versionAt(origin)).toBe("canary");
  api.remove(shop);
  await expect.poll(async () => (await fetch(origin)).status).toBe(404);
});
