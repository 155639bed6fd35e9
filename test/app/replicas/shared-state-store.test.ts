import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { SharedStateStore } from "../../../src/app/replicas/shared-state-store.ts";
import { podAccess } from "../../../src/kubernetes/api-access.ts";
import { ApiClient } from "../../../src/kubernetes/api-client.ts";
import { createLogger } from "../../../src/observe/log.ts";
import { scheduleUnref } from "../../../src/upstream/clock.ts";
import { freeAfterTest } from "../../kit/freed.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import { savedState } from "../../rollout/saved-states.ts";

test("a state that no replica could read back is not saved, and what was saved before stays", async () => {
  const store = await opened();
  await store.takeOver("a 1");
  expect(await store.save({ ...savedState, replicas: { b: 7 } })).toEqual({ kind: "saved" });
  const why = expect.stringMatching(
    /^the ConfigMap shop\/state would not be readable: its `replicas` is not in the form/,
  );
  expect(await store.save({ ...savedState, replicas: { b: 1e16 } })).toEqual({ kind: "failed", why });
  expect((await store.takeOver("a 2")).saved).toMatchObject({ replicas: { b: 7 } });
  expect(await store.save({ ...savedState, replicas: { b: 8 } })).toEqual({ kind: "saved" });
});

async function opened(): Promise<SharedStateStore> {
  const api = await KubernetesApi.start();
  const { folder, env } = await api.pod();
  const access = podAccess(env, () => performance.now(), folder);
  const timers = { nowMs: Date.now, monotonicMs: () => performance.now(), schedule: scheduleUnref };
  const store = new SharedStateStore({
    ...{ client: new ApiClient(access), namespace: "shop", name: "state", timers, randomFraction: Math.random },
    log: createLogger({ level: "silent", nowMs: Date.now }),
    onState() {},
    onTrouble() {},
  });
  freeAfterTest(async () => {
    await store.close();
    await access.close();
  });
  return store;
}
