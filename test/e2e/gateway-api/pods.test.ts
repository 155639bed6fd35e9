/** @module-tag slow */
import { expect, test } from "vitest";
import { endpointSlice } from "../../kit/endpoint-slices.ts";
import { perch } from "../../kit/freed.ts";
import { gateway, gatewayClass, route, service, to } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import { podServers } from "../../kit/pod-servers.ts";
import { soon } from "../../kit/served.ts";

const [one, two, three] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"] as const;

async function cluster() {
  const api = await KubernetesApi.start();
  const { port, pods } = await podServers([one, two, three]);
  const slice = (name: string, ...addresses: readonly string[]) =>
    endpointSlice({ service: name, ports: { http: port }, endpoints: addresses.map((address) => ({ address })) });
  for (const object of [gatewayClass(), gateway("web")]) api.put(object);
  // Of a Service's address that leads nowhere, and of a headless one.
  api.put(service("shop-stable", 80, { clusterIP: "127.0.0.9" }));
  api.put(service("shop-canary", 80, { clusterIP: "None" }));
  const weighted = (stable: number, canary: number) =>
    route("shop", [{ backendRefs: [to("shop-stable", 80, stable), to("shop-canary", 80, canary)] }]);
  const start = async () =>
    perch("kubernetes: { gateway: { ports: { 80: web }, endpoints: pods } }\nroutes: []\n", {
      listeners: `{ name: web, address: "127.0.0.1:0" }`,
      env: { KUBECONFIG: await api.kubeconfig() },
    });
  return { api, pods, slice, weighted, start };
}

async function answers(origin: string): Promise<string> {
  const bodies = new Set<string>();
  for (let at = 0; at < 12; at++) {
    const response = await fetch(origin);
    bodies.add(response.ok ? await response.text() : String(response.status));
  }
  return [...bodies].toSorted().join(" ");
}

test("endpoints: pods leads to the ready Pods of a route's Services, without a reload when they change", async () => {
  const { api, pods, slice, weighted, start } = await cluster();
  api.put(slice("shop-stable", one, two));
  api.put(slice("shop-canary", three));
  api.put(weighted(1, 0));
  const running = await start();
  const { origin } = running;
  const hash = async () => ((await (await running.admin("/api/config")).json()) as { readonly hash: string }).hash;
  expect(await answers(origin)).toBe(`${one} ${two}`);
  const before = await hash();
  api.put(slice("shop-stable", two));
  await expect.poll(() => answers(origin), soon).toBe(two);
  expect(await hash()).toBe(before);
  const stable = pods.find(({ address }) => address === two)?.connections();
  api.put(weighted(0, 1));
  await expect.poll(() => answers(origin), soon).toBe(three);
  // A change of weights leaves connections to Pods open.
  api.put(weighted(1, 0));
  await expect.poll(() => answers(origin), soon).toBe(two);
  expect(pods.find(({ address }) => address === two)?.connections()).toBe(stable);
  // A Service without a ready Pod has no endpoint.
  api.put(slice("shop-stable"));
  await expect.poll(() => answers(origin), soon).toBe("503");
});

test("endpoints: pods: a route that comes later finds its Pods before it gets requests", async () => {
  const { api, slice, start } = await cluster();
  api.put(slice("shop-canary", three));
  const { origin } = await start();
  api.put(route("late", [{ backendRefs: [to("shop-canary", 80)] }]));
  const seen = new Set<string>();
  const next = async () => {
    const response = await fetch(origin);
    const body = await response.text();
    seen.add(response.ok ? body : String(response.status));
    return body;
  };
  await expect.poll(next, { ...soon, interval: 5 }).toBe(three);
  expect([...seen]).toEqual(["404", three]);
});
