/** @module-tag slow */
import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import type { StartError } from "../../src/app/app.ts";
import { type DraftSlice, endpointSlice } from "../kit/endpoint-slices.ts";
import { perch } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { lanes } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { podServers } from "../kit/pod-servers.ts";
import { changeablePerch, freePorts, perchProcess } from "../kit/served.ts";
import { bringFault, faultyWorker } from "../workers/fault-channel.ts";

const soon = { timeout: 10_000, interval: 10 };
/** The API is asked again after 15 s at most. */
const afterPause = { timeout: 30_000, interval: 20 };

const [one, two, three] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"] as const;

/** `endpoints` of each version of the service. */
function shop(versions: Readonly<Record<string, string>>, more = ""): string {
  const list = Object.entries(versions).map(([name, endpoints]) => `${name}: { endpoints: [${endpoints}] }`);
  return `
services: { shop: { balance: round-robin, versions: { ${list.join(", ")} } } }
routes: [{ name: all, service: shop }]
${more}`;
}

const inShop = (port: string | number = "http", service = "shop") =>
  `{ kubernetes: { service: ${service}, namespace: shop, port: ${port} } }`;

async function bodies(origin: string, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let at = 0; at < count; at++) seen.push(await (await fetch(origin)).text());
  return seen.toSorted();
}

async function cluster() {
  const api = await KubernetesApi.start();
  const env = { KUBECONFIG: await api.kubeconfig() };
  const put = (slice: DraftSlice) => api.put(endpointSlice(slice));
  /** The requests for EndpointSlices so far: `namespace/service`, or `watch namespace/service`. */
  const asked = () =>
    api.requests.flatMap((target) => {
      const { pathname, searchParams } = new URL(target, "https://api");
      const [, namespace] =
        /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/([^/]+)\/endpointslices$/.exec(pathname) ?? [];
      const [, service] = /^kubernetes\.io\/service-name=(.+)$/.exec(searchParams.get("labelSelector") ?? "") ?? [];
      return namespace === undefined ? [] : `${searchParams.has("watch") ? "watch " : ""}${namespace}/${service}`;
    });
  return { api, env, put, asked };
}

interface Answer {
  readonly endpoints: readonly { readonly endpoint: string }[];
  readonly kubernetesServices: readonly Readonly<Record<string, unknown>>[];
}

const endpointsOf = async ({ admin }: TestPerch) => (await (await admin("/api/endpoints")).json()) as Answer;

describe.each(lanes)("endpoints by EndpointSlices, in the $lane lane", ({ fastLane }) => {
  it("are the ready Pods: those that stay keep connections, those that terminate finish what they have", async () => {
    const { env, put } = await cluster();
    const held: ServerResponse[] = [];
    const { port, pods } = await podServers([one, two, three], (request, response) => {
      if (request.url === "/held") held.push(response);
      else response.end(request.socket.localAddress);
    });
    const ports = { http: port };
    put({ ports, endpoints: [{ address: one }, { address: two }, { address: three, ready: false }] });
    const { origin } = await perch(shop({ stable: inShop() }, `fastLane: ${fastLane}`), { env });
    expect(await bodies(origin, 4)).toEqual([one, one, two, two]);

    const answers = [fetch(`${origin}/held`), fetch(`${origin}/held`)];
    await expect.poll(() => held.length, soon).toBe(2);
    const leaving = { address: two, ready: false, serving: true, terminating: true };
    put({ ports, endpoints: [{ address: one }, leaving, { address: three }] });
    await expect.poll(() => bodies(origin, 4), soon).toEqual([one, one, three, three]);
    put({ ports, endpoints: [{ address: one }, { address: three }] });
    expect(await bodies(origin, 4)).toEqual([one, one, three, three]);

    for (const response of held) response.end("in the end");
    for (const answer of answers) expect(await (await answer).text()).toBe("in the end");
    const [stayed, left] = pods;
    const open = () => new Promise((resolve) => left?.server.getConnections((_error, count) => resolve(count)));
    await expect.poll(open, soon).toBe(0);
    // The held request had the first.
    expect(stayed?.connections()).toBeLessThanOrEqual(2);
  });

  it("are none until a Pod is ready: 503, then 200", async () => {
    const { env, put } = await cluster();
    const { port } = await podServers([one]);
    put({ ports: { http: port }, endpoints: [{ address: one, ready: false }] });
    const { origin } = await perch(shop({ stable: inShop() }, `fastLane: ${fastLane}`), { env });
    const refused = await fetch(origin);
    expect([refused.status, refused.headers.get("x-perch-error")]).toEqual([503, "no-healthy-endpoint"]);
    put({ ports: { http: port }, endpoints: [{ address: one }] });
    await expect.poll(async () => (await fetch(origin)).status, soon).toBe(200);
  });
});

async function addedAndRemoved(workers: number): Promise<void> {
  const { api, env, put, asked } = await cluster();
  const on = (endpoints: string) => freePorts + shop({ stable: endpoints }, `workers: ${workers}`);
  const { port } = await podServers([one, two]);
  put({ ports: { http: port }, endpoints: [{ address: one }] });
  put({ service: "next", ports: { http: port }, endpoints: [{ address: two }] });
  const fixed = on(`"http://${one}:${port}"`);
  const { perch: started, change } = await changeablePerch(fixed, env);
  expect(asked()).toEqual([]);
  await change(on(inShop("http", "next")));
  expect(await bodies(started.origin, 2)).toEqual([two, two]);
  await change(on(inShop()));
  expect(await bodies(started.origin, 2)).toEqual([one, one]);
  await expect.poll(() => api.watches, soon).toBe(1);
  await change(fixed);
  await expect.poll(() => api.watches, soon).toBe(0);
  expect(asked()).toEqual(["shop/next", "watch shop/next", "shop/shop", "watch shop/shop"]);
  expect(await started.metric('perch_kubernetes_watch_up{kubernetes_service="shop/shop"}')).toBeUndefined();
}

describe("endpoints by EndpointSlices", () => {
  it("of a Service in both address families get one share each Pod", async () => {
    const { env, put } = await cluster();
    const { port } = await podServers(
      [one, "::1"],
      (request, response) => void response.end(request.socket.localAddress),
    );
    put({ ports: { http: port }, endpoints: [{ address: one, pod: "a" }] });
    put({ name: "shop-6", addressType: "IPv6", ports: { http: port }, endpoints: [{ address: "::1", pod: "a" }] });
    const { origin } = await perch(shop({ stable: inShop() }), { env });
    expect(await bodies(origin, 2)).toEqual([one, one]);
    put({ ports: { http: port }, endpoints: [] });
    await expect.poll(() => bodies(origin, 2), soon).toEqual(["::1", "::1"]);
  });

  it("are those hinted for the zone that Perch runs in", async () => {
    const { env, put } = await cluster();
    const { port } = await podServers([one, two]);
    const hinted = [
      { address: one, zones: ["a"] },
      { address: two, zones: ["b"] },
    ];
    put({ ports: { http: port }, endpoints: hinted });
    const { origin } = await perch(shop({ stable: inShop() }), { env: { ...env, PERCH_ZONE: "b" } });
    expect(await bodies(origin, 4)).toEqual([two, two, two, two]);
  });

  it("take the namespace of the context where the configuration names none, and the only port", async () => {
    const { env, put, asked } = await cluster();
    const { port } = await podServers([one]);
    put({ namespace: "default", ports: { "": port }, endpoints: [{ address: one }] });
    const { origin } = await perch(shop({ stable: "{ kubernetes: { service: shop } }" }), { env });
    expect(await bodies(origin, 1)).toEqual([one]);
    expect(new Set(asked())).toEqual(new Set(["default/shop", "watch default/shop"]));
  });

  it("stay while the API is away, and are as it says once it is back; both are told", async () => {
    const { api, env, put } = await cluster();
    const { port } = await podServers([one, two]);
    put({ ports: { http: port }, endpoints: [{ address: one }] });
    const started = await perch(shop({ stable: inShop() }), { env });
    const { origin, metric } = started;
    const isUp = () => metric('perch_kubernetes_watch_up{kubernetes_service="shop/shop"}');
    expect(await isUp()).toBe(1);
    await expect.poll(() => api.watches, soon).toBe(1);
    api.away();
    await expect.poll(isUp, soon).toBe(0);
    expect(await bodies(origin, 2)).toEqual([one, one]);
    const [service] = (await endpointsOf(started)).kubernetesServices;
    expect(service).toMatchObject({
      namespace: "shop",
      service: "shop",
      port: "http",
      ready: 1,
      used: 1,
      problems: [],
    });
    expect(service?.["trouble"]).toEqual(expect.any(String));
    expect(service?.["answeredAt"]).toEqual(expect.stringMatching(/^\d{4}-/));
    put({ ports: { http: port }, endpoints: [{ address: two }] });
    await api.back();
    await expect.poll(isUp, afterPause).toBe(1);
    await expect.poll(() => bodies(origin, 2), soon).toEqual([two, two]);
    expect((await endpointsOf(started)).kubernetesServices).toMatchObject([{ trouble: null }]);
  });

  it("are awaited at a start without the API: 503 of that version, until it comes", async () => {
    const { api, env, put } = await cluster();
    const { port } = await podServers([one]);
    put({ ports: { http: port }, endpoints: [{ address: one }] });
    api.away();
    const started = await perch(shop({ stable: inShop() }), { env });
    const { status, headers } = await fetch(started.origin);
    expect([status, headers.get("x-perch-error")]).toEqual([503, "no-healthy-endpoint"]);
    const [service] = (await endpointsOf(started)).kubernetesServices;
    expect(service).toMatchObject({ answeredAt: null, trouble: expect.any(String), used: 0 });
    await api.back();
    await expect.poll(async () => (await fetch(started.origin)).status, afterPause).toBe(200);
  });

  it("outside of a cluster without a kubeconfig: the start says what to set", async () => {
    const failed = perch(shop({ stable: inShop() }), { env: {} }).catch((error: StartError) => error.problems);
    expect(await failed).toEqual([
      "perch: the endpoints of the Kubernetes Service shop cannot be found: this is not a Pod (KUBERNETES_SERVICE_HOST is not set); elsewhere, set KUBECONFIG or write ~/.kube/config",
    ]);
  });

  it("of two versions and ports that name one Service are by one watch", async () => {
    const { api, env, put, asked } = await cluster();
    const [http, other] = [await podServers([one]), await podServers([two])];
    put({ ports: { http: http.port }, endpoints: [{ address: one }] });
    put({ name: "shop-2", ports: { other: other.port }, endpoints: [{ address: two }] });
    const versions = { stable: inShop(), same: inShop(), canary: inShop("other") };
    const started = await perch(shop(versions), { env });
    expect((await endpointsOf(started)).endpoints.map(({ endpoint }) => endpoint)).toEqual([
      `http://${one}:${http.port}`,
      `http://${one}:${http.port}`,
      `http://${two}:${other.port}`,
    ]);
    await expect.poll(() => api.watches, soon).toBe(1);
    expect(asked()).toEqual(["shop/shop", "watch shop/shop"]);
  });

  it("with a wrong port are none, and are told with the ports that there are", async () => {
    const { env, put } = await cluster();
    put({ ports: { http: 8080, metrics: 9090 }, endpoints: [{ address: one }] });
    const started = await perch(shop({ stable: inShop("htpp"), canary: inShop("http", "gone") }), { env });
    expect((await endpointsOf(started)).kubernetesServices).toMatchObject([
      { service: "shop", problems: ['its EndpointSlices have no port "htpp": there are http 8080, metrics 9090'] },
      { service: "gone", problems: ["it has no EndpointSlices: is there such a Service, and has it a selector?"] },
    ]);
  });

  it("are followed from the reload that adds them to the one that removes them", () => addedAndRemoved(1));

  it("are so with workers too", { tags: ["slow"] }, () => addedAndRemoved(2));

  it("are not found by a reload where there is no access to the API, which changes nothing", async () => {
    const { port } = await podServers([one]);
    const { perch: started, rejectedBy } = await changeablePerch(
      freePorts + shop({ stable: `"http://${one}:${port}"` }),
    );
    expect(await rejectedBy(freePorts + shop({ stable: inShop() }))).toMatch(
      /perch\.yaml:1:1: error: the endpoints of the Kubernetes Service shop cannot be found: this is not a Pod .*set KUBECONFIG/,
    );
    expect(await bodies(started.origin, 1)).toEqual([one]);
  });

  it("are known to every worker by the one watch of the process", async () => {
    const { api, env, put } = await cluster();
    const { port } = await podServers([one, two]);
    put({ ports: { http: port }, endpoints: [{ address: one }] });
    const started = await perch(shop({ stable: inShop() }, "workers: 2"), { env });
    expect(await bodies(started.origin, 8)).toEqual(Array(8).fill(one));
    expect(api.watches).toBe(1);
    put({ ports: { http: port }, endpoints: [{ address: two }] });
    await expect.poll(async () => new Set(await bodies(started.origin, 10)), soon).toEqual(new Set([two]));
    expect((await endpointsOf(started)).endpoints).toMatchObject([{ endpoint: `http://${two}:${port}` }]);
  });

  it("are known to a worker that replaces another", { tags: ["slow"] }, async () => {
    const { env, put } = await cluster();
    const { port } = await podServers([one, two]);
    put({ ports: { http: port }, endpoints: [{ address: one }] });
    const worker = { entry: faultyWorker };
    const started = await perch(shop({ stable: inShop() }, "workers: 2"), { env, worker });
    put({ ports: { http: port }, endpoints: [{ address: two }] });
    await expect.poll(async () => new Set(await bodies(started.origin, 10)), soon).toEqual(new Set([two]));
    bringFault("all", { kind: "throw" });
    await expect.poll(() => started.metric("perch_worker_restarts_total"), soon).toBe(2);
    await expect.poll(() => started.metric("perch_workers"), soon).toBe(2);
    expect(new Set(await bodies(started.origin, 10))).toEqual(new Set([two]));
  });

  it("are followed until Perch stops, without a word about that", { tags: ["slow"] }, async () => {
    const { api, env, put } = await cluster();
    put({ ports: { http: 8080 }, endpoints: [{ address: one }] });
    api.setConfigMap("shop", "perch", { "perch.yaml": freePorts + shop({ stable: inShop() }) });
    const process = perchProcess(
      ["serve", "-c", "kubernetes://configmap/shop/perch/perch.yaml", "--warm-up", "0s"],
      env,
    );
    await process.serving();
    await expect.poll(() => api.watches, soon).toBe(2);
    process.signal("SIGTERM");
    expect(await process.exited).toBe(0);
    expect(process.stderr).not.toContain('"level":"warn","service"');
    expect(process.stderr).not.toContain("does not");
  });

  it("are explained with their current addresses, and where they come from", async () => {
    const { env, put } = await cluster();
    put({ ports: { http: 8080 }, endpoints: [{ address: one }] });
    const { admin } = await perch(shop({ stable: inShop() }), { env });
    const { trail } = (await (await admin("/api/explain?url=http://a.example/")).json()) as {
      trail: { detail: string }[];
    };
    expect(trail.map(({ detail }) => detail).join("\n")).toContain(
      `http://${one}:8080 (http://shop.shop:http by EndpointSlices)`,
    );
  });
});
