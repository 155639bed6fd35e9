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
  return { api, replies, waiting, start, logged };
}

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
