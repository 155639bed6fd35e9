import { expect, test } from "vitest";
import { GatewaySource } from "../../../src/app/gateway/gateway-source.ts";
import { createLogger } from "../../../src/observe/log.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import {
  conditionsIn,
  gateway,
  gatewayClass,
  namespace,
  type RouteStatus,
  route,
  service,
  to,
} from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import type { DraftObject } from "../../kit/kubernetes-objects.ts";
import { soon } from "../../kit/served.ts";

const text = "kubernetes: { gateway: {} }\nroutes: []\n";
const shop = route("shop", [{ backendRefs: [to("shop", 80)] }]);

interface Followed {
  readonly api: KubernetesApi;
  readonly statusWrites: () => string[];
  lead(): void;
  /** As after a load of what the source gave last. */
  loaded(problem?: string): void;
  /** Resolves when the source gives something else. */
  changed(): Promise<void>;
}

/** The source alone: what it gives is said to be loaded. */
async function followed(objects: readonly DraftObject[], namespaces: readonly string[] = []): Promise<Followed> {
  const api = await KubernetesApi.start();
  for (const object of [gatewayClass(), gateway("web"), namespace("shop"), service("shop", 80), ...objects])
    api.put(object);
  let isLeader = false;
  const ports = [{ port: 80, listener: "web" }];
  const source = await GatewaySource.open({
    spec: { controllerName: "perch.dev/gateway", namespaces, ports, addresses: [], secretFile: undefined },
    loader: {
      source: { kind: "text", name: "perch.yaml", text },
      env: { KUBECONFIG: await api.kubeconfig() },
      hasStateDir: false,
    },
    isLeader: () => isLeader,
    log: createLogger({ level: "silent", nowMs: () => Date.now() }),
  });
  freeAfterTest(() => source.close());
  source.onChange(() => source.take());
  return {
    api,
    statusWrites: () => api.writes.map(({ path, status }) => `${path.split("/").slice(-3).join("/")} ${status}`),
    lead() {
      isLeader = true;
      source.leaderChanged();
    },
    loaded: (problem) => source.loaded(problem, undefined, text),
    changed() {
      const { promise, resolve } = Promise.withResolvers<void>();
      source.onChange(() => {
        source.take();
        resolve();
      });
      return promise;
    },
  };
}

const statusOf = (api: KubernetesApi, object: DraftObject) => api.object(object)?.status;
const parentsOf = (api: KubernetesApi, object: DraftObject) =>
  (statusOf(api, object) as RouteStatus | undefined)?.parents;

test("only the leader writes, and a conflict is read again", async () => {
  const { api, statusWrites, lead, loaded } = await followed([shop]);
  loaded();
  // Somebody else changes the route, which Perch does not hear of in time.
  api.stick();
  api.put({ ...shop, metadata: { ...shop.metadata, labels: { seen: "no" } } });
  lead();
  await expect
    .poll(() => statusWrites().toSorted(), soon)
    .toEqual([
      "gatewayclasses/perch/status 200",
      "gateways/web/status 200",
      "httproutes/shop/status 200",
      "httproutes/shop/status 409",
    ]);
  expect(api.object(shop)?.metadata.labels).toEqual({ seen: "no" });
  expect(conditionsIn(parentsOf(api, shop)?.[0])).toEqual(["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"]);
});

test("entries of others stay, and ours goes when the route leaves our Gateways", async () => {
  const theirs = {
    controllerName: "example.com/gateway",
    parentRef: { name: "theirs" },
    conditions: [{ type: "Accepted", status: "True" }],
  };
  const both = route("shop", [{ backendRefs: [to("shop", 80)] }], { parents: [{ name: "web" }, { name: "theirs" }] });
  const { api, statusWrites, lead, loaded, changed } = await followed([{ ...both, status: { parents: [theirs] } }]);
  loaded();
  lead();
  const controllers = () => parentsOf(api, shop)?.map(({ controllerName }) => controllerName);
  await expect.poll(controllers, soon).toEqual(["example.com/gateway", "perch.dev/gateway"]);
  api.put(route("shop", [{ backendRefs: [to("shop", 80)] }], { parents: [{ name: "theirs" }] }));
  await changed();
  loaded();
  await expect.poll(controllers, soon).toEqual(["example.com/gateway"]);
  expect(parentsOf(api, shop)).toEqual([theirs]);
  expect(statusWrites().filter((write) => write.startsWith("httproutes/"))).toHaveLength(2);
});

test("a configuration that is rejected shows in Programmed, with why, unless it was active before", async () => {
  const { api, lead, loaded, changed } = await followed([]);
  lead();
  loaded("unknown listener");
  const conditions = () => conditionsIn(statusOf(api, gateway("web")));
  await expect.poll(conditions, soon).toContain("Programmed=False/Invalid");
  const { conditions: written } = statusOf(api, gateway("web")) as { conditions: readonly { message: string }[] };
  expect(written.map(({ message }) => message)).toContain("unknown listener");
  loaded();
  await expect.poll(conditions, soon).toContain("Programmed=True/Programmed");
  const before = api.writes.length;
  // The file was changed, and is wrong: the Gateway is served as before.
  loaded("no such file");
  api.put(shop);
  await changed();
  loaded();
  await expect.poll(() => parentsOf(api, shop), soon).toBeDefined();
  const programmed = api.writes
    .slice(before)
    .filter(({ path }) => path.endsWith("/gateways/web/status"))
    .map(({ body }) => conditionsIn(body.status).at(-1));
  expect(new Set(programmed)).toEqual(new Set(["Programmed=True/Programmed"]));
});

test("with namespaces, only these are read", async () => {
  const { api } = await followed([shop], ["shop"]);
  const asked = new Set(api.requests.map((request) => request.split("?")[0]));
  const group = "/apis/gateway.networking.k8s.io";
  expect([...asked].toSorted()).toEqual([
    "/api/v1/namespaces",
    "/api/v1/namespaces/shop/configmaps",
    "/api/v1/namespaces/shop/services",
    `${group}/v1/gatewayclasses`,
    ...["backendtlspolicies", "gateways", "grpcroutes", "httproutes"].map(
      (kind) => `${group}/v1/namespaces/shop/${kind}`,
    ),
    `${group}/v1beta1/namespaces/shop/referencegrants`,
  ]);
});
