/** @module-tag slow */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { StartError } from "../../src/app/app.ts";
import type { ConfigSource } from "../../src/app/config-source.ts";
import { perch, upstream } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import type { TestPerch } from "../kit/perch.ts";
import { freePorts, perchProcess, soon, temporaryFolder } from "../kit/served.ts";

const key = "perch.yaml";

function source(cacheFile?: string): ConfigSource {
  return { kind: "kubernetes", reference: { kind: "configmap", namespace: "shop", name: "perch", key }, cacheFile };
}

async function versions() {
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  return (split: string) => `${freePorts}
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases: { shop: { split: ${split} } }
routes: [{ name: all, service: shop, release: shop }]
`;
}

const toStable = "{ stable: 1, canary: 0 }";
const toCanary = "{ stable: 0, canary: 1 }";

async function cluster() {
  const api = await KubernetesApi.start();
  const config = await versions();
  const set = (split: string) => api.setConfigMap("shop", "perch", { [key]: config(split) });
  const replica = async (cacheFile?: string) =>
    perch("", { source: source(cacheFile), env: { KUBECONFIG: await api.kubeconfig() } });
  return { api, set, replica };
}

const versionAt = async (origin: string) => (await fetch(origin)).headers.get("x-upstream");

interface ConfigAnswer {
  readonly active: { readonly file: string; readonly hash: string; readonly resourceVersion: string | null };
  readonly lastError: { readonly text: string } | null;
}

const configOf = async ({ admin }: TestPerch) => (await (await admin("/api/config")).json()) as ConfigAnswer;

test("every replica serves a change of the ConfigMap within a second, and says which it has", async () => {
  const { set, replica } = await cluster();
  const first = set(toStable);
  const replicas = await Promise.all([replica(), replica(), replica()]);
  for (const one of replicas) {
    expect(await versionAt(one.origin)).toBe("stable");
    const { active } = await configOf(one);
    expect(active).toMatchObject({ file: "kubernetes://configmap/shop/perch/perch.yaml", resourceVersion: first });
  }
  const second = set(toCanary);
  const hashes = new Set<string>();
  for (const one of replicas) {
    await expect.poll(() => versionAt(one.origin), soon).toBe("canary");
    const { active } = await configOf(one);
    expect(active.resourceVersion).toBe(second);
    expect(await one.metric(`perch_config_source_info{resource_version="${second}"}`)).toBe(1);
    hashes.add(active.hash);
  }
  expect(hashes.size).toBe(1);
});

test("a bad change, or none any more, leaves the last good one active, and is reported", async () => {
  const { api, set, replica } = await cluster();
  const first = set(toStable);
  const one = await replica();
  const { origin, metric } = one;
  const lastError = async () => (await configOf(one)).lastError?.text;
  set("{ stabel: 1 }");
  await expect.poll(lastError, soon).toContain("kubernetes://configmap/shop/perch/perch.yaml:6:");
  api.deleteConfigMap("shop", "perch");
  await expect.poll(lastError, soon).toContain("the ConfigMap shop/perch does not exist");
  expect(await metric("perch_config_last_reload_successful")).toBe(0);
  expect(await metric(`perch_config_source_info{resource_version="${first}"}`)).toBe(1);
  expect(await versionAt(origin)).toBe("stable");
  set(toCanary);
  await expect.poll(() => versionAt(origin), soon).toBe("canary");
  expect(await lastError()).toBeUndefined();
});

test("the API away: the active one serves, also over a restart with a cache; what changed meanwhile comes later", async () => {
  const { api, set, replica } = await cluster();
  const cache = join(await temporaryFolder(), "perch.yaml");
  set(toStable);
  const before = await replica(cache);
  await expect.poll(() => existsSync(cache), soon).toBe(true);
  api.away();
  expect(await versionAt(before.origin)).toBe("stable");
  await before.stop();
  const after = await replica(cache);
  expect(await versionAt(after.origin)).toBe("stable");
  expect((await configOf(after)).active.resourceVersion).toBeNull();
  set(toCanary);
  await api.back();
  await expect.poll(() => versionAt(after.origin), { timeout: 20_000 }).toBe("canary");
  await expect.poll(() => readFile(cache, "utf8"), soon).toContain(toCanary);
});

test("a start without the object says what is missing", async () => {
  const { replica } = await cluster();
  const failed = replica().catch((error: StartError) => error.problems.join());
  expect(await failed).toContain("error: the ConfigMap shop/perch does not exist");
});

test("a start outside of a Pod, without a kubeconfig, says what to set", async () => {
  const failed = perch("", { source: source(), env: {} });
  await expect(failed).rejects.toThrow(StartError);
  await expect(failed).rejects.toMatchObject({
    problems: [
      "perch: kubernetes://configmap/shop/perch/perch.yaml cannot be read: this is not a Pod (KUBERNETES_SERVICE_HOST is not set); elsewhere, set KUBECONFIG or write ~/.kube/config",
    ],
  });
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "a start without the API says at once and again what it waits for and why, and %s ends it at once",
  async (signal) => {
    const { api, set } = await cluster();
    set(toStable);
    const env = { KUBECONFIG: await api.kubeconfig() };
    api.away();
    const started = perchProcess(["serve", "-c", "kubernetes://configmap/shop/perch/perch.yaml"], env);
    const first = await started.logged("the Kubernetes API does not answer: what is known stays");
    expect(first).toMatchObject({ object: "ConfigMap shop/perch", why: expect.stringContaining("ECONNREFUSED") });
    const waiting = await started.logged("waiting for the Kubernetes API");
    expect(waiting).toMatchObject({
      waitingFor: ["kubernetes://configmap/shop/perch/perch.yaml"],
      why: expect.stringContaining("ECONNREFUSED"),
    });
    started.signal(signal);
    expect(await Promise.race([started.exited, delay(2_000, "still running")])).toBe(1);
  },
);
