import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GatewayController } from "../../../src/app/gateway/gateway-controller.ts";
import type { GatewayReply } from "../../../src/app/gateway/gateway-messages.ts";
import { ApiClient } from "../../../src/kubernetes/api-client.ts";
import { findAccess } from "../../../src/kubernetes/find-access.ts";
import { scheduleUnref } from "../../../src/upstream/clock.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import { gateway, gatewayClass, namespace } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import { soon, temporaryFolder } from "../../kit/served.ts";

const tenSeconds = 10_000;

/** A controller whose timers of ten seconds wait until they are told. */
async function controlling() {
  const api = await KubernetesApi.start();
  for (const object of [gatewayClass(), gateway("web"), namespace("shop")]) api.put(object);
  const path = join(await temporaryFolder(), "perch.yaml");
  writeFileSync(path, "kubernetes: { gateway: {} }\nroutes: []\n");
  const env = { KUBECONFIG: await api.kubeconfig() };
  const access = findAccess(env, () => 0);
  const replies: GatewayReply[] = [];
  const waiting = new Set<() => void>();
  const start = () => {
    const controller = new GatewayController(
      {
        kind: "start",
        spec: {
          ...{ controllerName: "perch.dev/gateway", namespaces: [], ports: [{ port: 80, listener: "web" }] },
          ...{ addresses: [], endpoints: "service", secretFile: undefined },
        },
        loader: { source: { kind: "file", path }, keys: new Map(), env, hasStateDir: false },
        isLeader: true,
      },
      new ApiClient(access),
      (reply) => replies.push(reply),
      (ms, callback) => {
        if (ms !== tenSeconds) return scheduleUnref(ms, callback);
        waiting.add(callback);
        return () => waiting.delete(callback);
      },
    );
    freeAfterTest(async () => {
      await controller.close();
      await access.close();
    });
    return controller;
  };
  const logged = () => replies.flatMap((reply) => (reply.kind === "log" ? [reply] : []));
  const ring = () => {
    const due = [...waiting];
    waiting.clear();
    for (const callback of due) callback();
  };
  return { api, replies, waiting, ring, start, logged };
}

test("until the first compilation the log says what it waits for, again every ten seconds", async () => {
  const { api, replies, waiting, ring, start, logged } = await controlling();
  api.forbid("httproutes");
  start();
  const waitingFor = {
    ...{ kind: "log", level: "warn", message: "waiting for the Gateway API" },
    fields: { why: expect.stringMatching(/^HTTPRoute objects cannot be listed: .*403/), forSeconds: 0 },
  };
  await expect.poll(() => logged().length, soon).toBe(1);
  ring();
  expect(logged()).toEqual([waitingFor, waitingFor]);
  api.allow("httproutes");
  await expect.poll(() => replies.map(({ kind }) => kind), soon).toContain("compiled");
  expect(logged().at(-1)?.message).toBe("the Gateway API gives what Perch follows again");
  expect(waiting.size).toBe(0);
});

test("after it, what the API does not give is said once", async () => {
  const { api, replies, start, logged } = await controlling();
  start();
  await expect.poll(() => replies.map(({ kind }) => kind), soon).toContain("compiled");
  api.forbid("gateways");
  api.endWatches();
  await expect.poll(logged, soon).toEqual([
    {
      ...{ kind: "log", level: "warn", fields: { why: expect.stringMatching(/^Gateway: .*403/) } },
      message: "the Gateway API does not give what Perch follows: what is active stays",
    },
  ]);
});

test("statuses that cannot be written wait for one timer, however much changes, and for none after the end", async () => {
  const { api, replies, waiting, start, logged } = await controlling();
  const controller = start();
  await expect.poll(() => replies.map(({ kind }) => kind), soon).toContain("compiled");
  api.forbid("gateways");
  controller.loaded({
    ...{ kind: "loaded", version: 1, problem: undefined, isActive: true, keys: undefined },
    textHash: "",
  });
  for (let failures = 1; failures <= 3; failures++) {
    await expect.poll(() => logged().length, soon).toBe(failures);
    await expect.poll(() => waiting.size, soon).toBe(1);
    api.put(namespace("shop", { change: String(failures) }));
  }
  await controller.close();
  expect(waiting.size).toBe(0);
});
