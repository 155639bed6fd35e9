/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { perch, upstream } from "../../kit/freed.ts";
import { gateway, gatewayClass, route, service, to } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import type { TestPerch } from "../../kit/perch.ts";
import { leaseObject, replicaStatus } from "../../kit/replicas.ts";
import { temporaryFolder } from "../../kit/served.ts";

const patient = { timeout: 30_000 };

test("of replicas that share a state, only the one that leads writes statuses, from the start on", async () => {
  const tokens = join(await temporaryFolder(), "tokens");
  await writeFile(tokens, "a-token-of-more-than-thirty-two-bytes");
  const api = await KubernetesApi.start();
  const stable = await upstream("stable");
  api.put(gatewayClass());
  api.put(gateway("web"));
  api.put(service("shop", stable.port));
  const text = `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", tokenFile: ${tokens} }
state: { kubernetes: { configMap: perch-state, lease: perch, namespace: shop } }
kubernetes: { gateway: { ports: { 80: web } } }
routes: []
`;
  // Another program leads for now.
  const taken = { holderIdentity: "somebody", leaseDurationSeconds: 3_600, leaseTransitions: 1 };
  api.put({ ...leaseObject, spec: taken });
  api.put(route("before", [{ backendRefs: [to("shop", stable.port, 1)] }]));
  const replicas = await Promise.all(
    ["a", "b"].map(async (account) => {
      const env = { KUBECONFIG: await api.kubeconfig(account) };
      return { account, perch: await perch("", { source: { kind: "text", name: "perch.yaml", text }, env }) };
    }),
  );
  for (const each of replicas) await expect.poll(() => isServed(each.perch), patient).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(statusWriters(api)).toEqual([]);
  api.put({ ...leaseObject, spec: { ...taken, holderIdentity: "" } });
  await expect.poll(() => leaders(replicas), patient).toHaveLength(1);
  await expect.poll(() => api.object(route("before", []))?.status, patient).toBeDefined();
  const [leader = ""] = await leaders(replicas);
  expect(statusWriters(api)).toEqual([leader]);
  await replicas.find(({ account }) => account === leader)?.perch.stop();
  const rest = replicas.filter(({ account }) => account !== leader);
  await expect.poll(() => leaders(rest), patient).toHaveLength(1);
  api.writes.length = 0;
  api.put(route("after", [{ backendRefs: [to("shop", stable.port, 1)] }]));
  await expect.poll(() => api.object(route("after", []))?.status, patient).toBeDefined();
  expect(statusWriters(api)).toEqual(rest.map(({ account }) => account));
});

async function leaders(replicas: readonly { readonly account: string; readonly perch: TestPerch }[]) {
  const statuses = await Promise.all(replicas.map((each) => replicaStatus(each.perch)));
  return replicas.filter((_, at) => statuses[at]?.isLeading).map(({ account }) => account);
}

const isServed = async ({ origin }: TestPerch) => (await fetch(origin)).status === 200;

/** The accounts that wrote a status, or tried to. */
function statusWriters({ writes }: KubernetesApi): readonly string[] {
  return [...new Set(writes.filter(({ path }) => path.endsWith("/status")).map(({ account }) => account))];
}
