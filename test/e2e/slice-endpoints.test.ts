import { describe, expect, it } from "vitest";
import { type DraftSlice, endpointSlice } from "../kit/endpoint-slices.ts";
import { perch } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { lanes } from "../kit/one-service.ts";
import { podServers } from "../kit/pod-servers.ts";

const soon = { timeout: 10_000, interval: 10 };

const shopOn = (port: string | number, more = "") => `
services: { shop: { balance: round-robin, versions: { stable: { endpoints: [{ kubernetes: { service: shop, namespace: shop, port: ${port} } }] } } } }
routes: [{ name: all, service: shop }]
${more}`;

async function bodies(origin: string, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let at = 0; at < count; at++) seen.push(await (await fetch(origin)).text());
  return seen;
}

async function cluster() {
  const api = await KubernetesApi.start();
  const env = { KUBECONFIG: await api.kubeconfig() };
  const put = (slice: DraftSlice) => api.put(endpointSlice(slice));
  return { api, env, put };
}

describe.each(lanes)("endpoints by EndpointSlices, in the $lane lane", ({ fastLane }) => {
  it("are the ready Pods, and follow them", async () => {
    const { env, put } = await cluster();
    const { port } = await podServers(["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    put({ ports: { http: port }, endpoints: [{ address: "127.0.0.1" }, { address: "127.0.0.2", ready: false }] });
    const { origin } = await perch(shopOn("http", `fastLane: ${fastLane}`), { env });
    expect(await bodies(origin, 2)).toEqual(["127.0.0.1", "127.0.0.1"]);
    put({ ports: { http: port }, endpoints: [{ address: "127.0.0.2" }, { address: "127.0.0.3" }] });
    await expect
      .poll(async () => (await bodies(origin, 4)).toSorted(), soon)
      .toEqual(["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
  });
});
