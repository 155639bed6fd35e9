/** @module-tag slow */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GatewaySource } from "../../../src/app/gateway/gateway-source.ts";
import { createLogger } from "../../../src/observe/log.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import {
  backendTlsPolicy,
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
import { certPem, keyPem } from "../../kit/pki.ts";
import { soon, temporaryFolder } from "../../kit/served.ts";

const text = "kubernetes: { gateway: {} }\nroutes: []\n";
const shop = route("shop", [{ backendRefs: [to("shop", 80)] }]);

const policyFor = (name: string, settings: string): DraftObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "policy", namespace: "shop", labels: { "perch.dev/policy": "true" } },
  data: { policy: `target: { name: ${name} }\n${settings}\n` },
});

interface Followed {
  readonly api: KubernetesApi;
  /** Lines of its log. */
  readonly logged: readonly string[];
  readonly statusWrites: () => string[];
  lead(): void;
  /** As after a load of what the source gave last. `text`: of the file, if it has changed. */
  loaded(problem?: string, text?: string): void;
  /** Resolves when the source gives something else. */
  changed(): Promise<void>;
}

/** The source alone: what it gives is said to be loaded. */
async function followed(objects: readonly DraftObject[], namespaces: readonly string[] = []): Promise<Followed> {
  const api = await KubernetesApi.start();
  for (const object of [gatewayClass(), gateway("web"), namespace("shop"), service("shop", 80), ...objects])
    api.put(object);
  let isLeader = false;
  const path = join(await temporaryFolder(), "perch.yaml");
  writeFileSync(path, text);
  let file = text;
  const logged: string[] = [];
  const ports = [{ port: 80, listener: "web" }];
  const source = await GatewaySource.open({
    spec: {
      ...{ controllerName: "perch.dev/gateway", namespaces, ports },
      ...{ addresses: [], endpoints: "service", secretFile: undefined },
    },
    loader: {
      source: { kind: "file", path },
      keys: new Map(),
      env: { KUBECONFIG: await api.kubeconfig() },
      hasStateDir: false,
    },
    isLeader: () => isLeader,
    log: createLogger({ level: "warn", nowMs: () => Date.now(), to: { write: (line) => logged.push(line) } }),
  });
  freeAfterTest(() => source.close());
  source.onChange(() => source.take());
  return {
    api,
    logged,
    statusWrites: () => api.writes.map(({ path, status }) => `${path.split("/").slice(-3).join("/")} ${status}`),
    lead() {
      isLeader = true;
      source.leaderChanged();
    },
    loaded(problem, text) {
      file = text ?? file;
      writeFileSync(path, file);
      source.loaded(problem, undefined, file);
    },
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
  const { api, logged, statusWrites, lead, loaded, changed } = await followed([shop]);
  loaded();
  api.put(policyFor("nobody", "stiky: {}"));
  await expect.poll(() => logged.join(), soon).toContain("the policy is not applied");
  // What is written of one change is written before the next is compiled.
  api.put(route("shop", [{ backendRefs: [to("shop", 80)] }], { hostnames: ["shop.test"] }));
  await changed();
  expect(statusWrites()).toEqual([]);
  api.put(shop);
  await changed();
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

test("a BackendTLSPolicy gets an entry for our Gateway, which goes when no route leads to its Service", async () => {
  const policy = backendTlsPolicy();
  const { api, lead, loaded, changed } = await followed([shop, policy]);
  loaded();
  lead();
  const entries = () => (statusOf(api, policy) as { ancestors?: readonly object[] } | undefined)?.ancestors;
  const ancestorRef = { group: "gateway.networking.k8s.io", kind: "Gateway", namespace: "shop", name: "web" };
  const ours = { controllerName: "perch.dev/gateway", ancestorRef };
  await expect.poll(entries, soon).toMatchObject([ours]);
  expect(conditionsIn(entries()?.[0])).toEqual(["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"]);
  api.put(route("shop", [{ backendRefs: [to("other", 80)] }]));
  await changed();
  loaded();
  await expect.poll(entries, soon).toEqual([]);
});

test("a configuration that is rejected shows in Programmed, with why, unless it was active before", async () => {
  const { api, lead, loaded } = await followed([]);
  lead();
  loaded("unknown listener");
  const conditions = () => conditionsIn(statusOf(api, gateway("web")));
  await expect.poll(conditions, soon).toContain("Programmed=False/Invalid");
  const { conditions: written } = statusOf(api, gateway("web")) as { conditions: readonly { message: string }[] };
  expect(written.map(({ message }) => message)).toContain("unknown listener");
  loaded();
  await expect.poll(conditions, soon).toContain("Programmed=True/Programmed");
  // The file was changed, and is wrong: the Gateway is served as before.
  loaded("no such file");
  api.put(gatewayClass("second"));
  await expect.poll(() => statusOf(api, gatewayClass("second")), soon).toBeDefined();
  expect(conditions()).toContain("Programmed=True/Programmed");
});

test("a change of the file is a reason to compile again: what a policy lacked may be there now", async () => {
  const policy = policyFor("shop", "sticky: { by: userId }");
  const { api, lead, loaded, changed } = await followed([shop, policy]);
  lead();
  loaded();
  const applied = () => conditionsIn(parentsOf(api, shop)?.[0]).at(-1);
  await expect.poll(applied, soon).toBe("perch.dev/Policy=False/Invalid");
  const next = changed();
  loaded(undefined, `attributes: { userId: { type: string, from: [{ header: x-user }] } }\n${text}`);
  await next;
  loaded();
  await expect.poll(applied, soon).toBe("perch.dev/Policy=True/Applied");
});

test("a Gateway that names too many Secrets has no more than its share of them, and its status says so", async () => {
  const https = (name: string, refs: readonly string[]) => ({
    ...{ name, port: 80, protocol: "HTTPS", hostname: `${name}.test` },
    tls: { certificateRefs: refs.map((ref) => ({ name: ref })) },
  });
  const refs = (at: number) => Array.from({ length: 8 }, (_, n) => `s${8 * at + n}`);
  const greedy = gateway(
    "greedy",
    Array.from({ length: 64 }, (_, at) => https(`l${at}`, refs(at))),
    { namespace: "evil", created: "2025-01-01T00:00:00Z" },
  );
  const cert: DraftObject = {
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "cert", namespace: "shop" } },
    data: {
      "tls.crt": Buffer.from(certPem("shop")).toString("base64"),
      "tls.key": Buffer.from(keyPem("shop")).toString("base64"),
    },
  };
  const { api, logged, lead, loaded } = await followed([gateway("web", [https("web", ["cert"])]), greedy, cert]);
  loaded();
  lead();
  await expect.poll(() => conditionsIn(statusOf(api, gateway("web"))), soon).toContain("Programmed=True/Programmed");
  await expect.poll(() => JSON.stringify(statusOf(api, greedy)), soon).toContain("Perch follows 500 of what");
  expect(logged.join()).toContain("more Secrets and ConfigMaps than Perch follows");
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
