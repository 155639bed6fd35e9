import { expect, test } from "vitest";
import type { WatchedObject } from "../../../src/app/gateway/gateway-watches.ts";
import { StatusWriter } from "../../../src/app/gateway/status-writer.ts";
import type { WantedStatus } from "../../../src/config/import/live-gateway/statuses.ts";
import { ApiClient, type ApiObject } from "../../../src/kubernetes/api-client.ts";
import { findAccess } from "../../../src/kubernetes/find-access.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import { gateway } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";

const web = gateway("web");
const second = 1_000;

/** A writer of the status of one Gateway, which somebody else may overwrite. */
async function writing() {
  const api = await KubernetesApi.start();
  api.put(web);
  let nowMs = 0;
  const access = findAccess({ KUBECONFIG: await api.kubeconfig() }, () => 0);
  freeAfterTest(() => access.close());
  const client = new ApiClient(access);
  const writer = new StatusWriter({
    client,
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    onFailure: () => {},
  });
  freeAfterTest(async () => writer.close());
  const wanted = (of: string): WantedStatus => ({
    ...{ kind: "Gateway", namespace: "shop", name: "web" },
    merge: (status) => ({ ...status, of }),
  });
  return {
    api,
    at: (ms: number) => {
      nowMs = ms;
    },
    async overwrite() {
      const object = api.object(web);
      if (object === undefined) throw new Error("the Gateway is gone");
      const path = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways/web/status";
      const { signal } = new AbortController();
      await client.replace(path, { ...object, status: { of: "somebody else" } } as ApiObject, signal);
    },
    /** In how many milliseconds it is to be tried again. */
    write: (of = "perch") => writer.write([wanted(of)], () => api.object(web) as WatchedObject | undefined),
    status: () => api.object(web)?.["status"],
  };
}

test("a status that somebody else overwrites again and again is written after longer and longer pauses", async () => {
  const { at, overwrite, write, status } = await writing();
  expect(await write()).toBeUndefined();
  let ms = 0;
  for (const pause of [1, 2, 4, 8, 16, 32, 60, 60]) {
    await overwrite();
    at(ms + 300);
    expect(await write()).toBe(pause * second - 300);
    expect(status()).toEqual({ of: "somebody else" });
    ms += pause * second;
    at(ms);
    expect(await write()).toBeUndefined();
    expect(status()).toEqual({ of: "perch" });
  }
});

test("other content is written at once, and so is what was overwritten after it had stayed", async () => {
  const { at, overwrite, write, status } = await writing();
  await write();
  await overwrite();
  expect(await write("perch, after a change")).toBeUndefined();
  expect(status()).toEqual({ of: "perch, after a change" });
  at(130 * second);
  await overwrite();
  expect(await write("perch, after a change")).toBeUndefined();
  expect(status()).toEqual({ of: "perch, after a change" });
});

test("an object that is made anew again and again is not taken for one that somebody else overwrites", async () => {
  const { api, at, write, status } = await writing();
  for (let made = 0; made < 10; made++) {
    at(made * 20 * second);
    expect(await write()).toBeUndefined();
    expect(status()).toEqual({ of: "perch" });
    api.remove(web);
    api.put(web);
  }
});

test("nothing is written where nothing changed, and what cannot be written is tried again", async () => {
  const { api, write } = await writing();
  await write();
  expect(await write()).toBeUndefined();
  expect(api.writes).toHaveLength(1);
  api.forbid("gateways");
  expect(await write("other")).toBe(10 * second);
});
