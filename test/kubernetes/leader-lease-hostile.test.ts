/** @module-tag slow */
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient } from "../../src/kubernetes/api-client.ts";
import { LeaderLease } from "../../src/kubernetes/leader-lease.ts";
import { scheduleUnref } from "../../src/upstream/clock.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

const object = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace: "shop", name: "perch" } };
const addressAnnotation = "perch.dev/admin-address";
/** Time passes so much faster than it does. */
const faster = 10;
const patient = { timeout: 10_000, interval: 10 };

async function electing() {
  const api = await KubernetesApi.start();
  const add = async (identity: string) => {
    const { folder, env } = await api.pod(identity);
    const access = podAccess(env, () => performance.now(), folder);
    const told: string[] = [];
    const lease = new LeaderLease({
      ...{ client: new ApiClient(access), identity, namespace: "shop", name: "perch", address: "127.0.0.1:9901" },
      timers: {
        nowMs: Date.now,
        monotonicMs: () => performance.now() * faster,
        schedule: (ms, callback) => scheduleUnref(ms / faster, callback),
      },
      randomFraction: Math.random,
      onHeld: () => void told.push("held"),
      onLost: () => void told.push("lost"),
      onHolder() {},
      onTrouble() {},
    });
    freeAfterTest(async () => {
      await lease.close();
      await access.close();
    });
    return { lease, told };
  };
  return { api, add };
}

describe("a Lease", () => {
  test("that nobody has held has no spec, and is taken", async () => {
    const { api, add } = await electing();
    api.put(object);
    const { lease } = await add("a");
    await expect.poll(() => lease.isHeld, patient).toBe(true);
  });

  test("that is deleted is made again, also if nobody else waits for it", async () => {
    const { api, add } = await electing();
    const { lease, told } = await add("a");
    await expect.poll(() => lease.isHeld, patient).toBe(true);
    api.remove(object);
    await expect.poll(() => told, patient).toEqual(["held", "lost", "held"]);
    expect(api.object(object)?.spec).toMatchObject({ holderIdentity: "a" });
  });

  test("that another takes away is taken back when its time is up", async () => {
    const { api, add } = await electing();
    const { lease, told } = await add("a");
    await expect.poll(() => lease.isHeld, patient).toBe(true);
    const now = api.object(object);
    if (now === undefined) throw new Error("no Lease");
    api.put({ ...now, spec: { holderIdentity: "somebody", leaseDurationSeconds: 5, leaseTransitions: 7 } });
    await expect.poll(() => told, patient).toEqual(["held", "lost", "held"]);
    expect(api.object(object)?.spec).toMatchObject({ holderIdentity: "a", leaseTransitions: 8 });
  });

  test("whose versions go back, as of an API that was restored from a backup, is held by one again", async () => {
    const { api, add } = await electing();
    const all = [await add("a"), await add("b")];
    const held = () => all.map(({ lease }) => lease.isHeld);
    await expect.poll(held, patient).toContain(true);
    await expect.poll(() => api.watches, patient).toBe(2);
    const restore = api.backup();
    for (let write = 0; write < 200; write++) api.setConfigMap("shop", "noise", { write: String(write) });
    const before = api.writes.length;
    await expect.poll(() => api.writes.length, patient).toBeGreaterThan(before + 2);
    restore();
    await setTimeout(1_000);
    const renewed = api.writes.length;
    await expect.poll(() => api.writes.slice(renewed).filter(({ status }) => status === 200).length, patient).toBe(3);
    expect(held().filter((isHeld) => isHeld)).toEqual([true]);
  });

  test("whose versions go back, to when nobody held it, is taken anew", async () => {
    const { api, add } = await electing();
    api.put({ ...object, spec: {} });
    const restore = api.backup();
    const all = [await add("a"), await add("b")];
    const held = () => all.filter(({ lease }) => lease.isHeld).length;
    await expect.poll(held, patient).toBe(1);
    await expect.poll(() => api.watches, patient).toBe(2);
    restore();
    await expect.poll(() => all.flatMap(({ told }) => told).filter((each) => each === "held"), patient).toHaveLength(2);
    expect(held()).toBe(1);
  });

  test("whose term somebody changes is lost, and taken again", async () => {
    const { api, add } = await electing();
    const { lease, told } = await add("a");
    await expect.poll(() => lease.isHeld, patient).toBe(true);
    const now = api.object(object);
    if (now === undefined) throw new Error("no Lease");
    api.put({ ...now, spec: { ...(now.spec as object), leaseTransitions: 7 } });
    await expect.poll(() => told, patient).toEqual(["held", "lost", "held"]);
    expect(lease.holder).toMatchObject({ identity: "a", term: "a 8" });
  });

  test("whose renewal is answered after its time is asked for again, also by its only replica", async () => {
    const { api, add } = await electing();
    const { lease, told } = await add("a");
    await expect.poll(() => lease.isHeld, patient).toBe(true);
    // Longer than it may be held, and the watch tells of the renewal before the answer does.
    api.delayAnswers(1_000);
    await expect.poll(() => told, patient).toEqual(["held", "lost"]);
    api.delayAnswers(0);
    await expect.poll(() => told, patient).toEqual(["held", "lost", "held"]);
  });

  test.each([
    ["for longer than a timer can wait", 2_147_483_647],
    ["for a time that is no number", "long"],
    ["for less than no time", -5],
  ])("that another program holds %s does not make the API busy", async (_, leaseDurationSeconds) => {
    const { api, add } = await electing();
    api.put({ ...object, spec: { holderIdentity: "somebody", leaseDurationSeconds } });
    const { lease } = await add("a");
    await expect.poll(() => api.watches, patient).toBe(1);
    await setTimeout(400);
    expect(lease.isHeld).toBe(false);
    expect(api.requests.length).toBeLessThan(5);
  });

  test.each([
    ["a user", "evil@127.0.0.1:1"],
    ["a path", "127.0.0.1:9901/path?"],
    ["a space", "two words:80"],
    ["a scheme", "http://a:80"],
    ["no host", ":80"],
    ["nothing", ""],
    ["100 kB", "a".repeat(100_000)],
  ])("whose address has %s has no address", async (_, address) => {
    const { api, add } = await electing();
    const metadata = { ...object.metadata, annotations: { [addressAnnotation]: address } };
    api.put({ ...object, metadata, spec: { holderIdentity: "../b c", leaseDurationSeconds: 10 } });
    const { lease } = await add("a");
    await expect.poll(() => lease.holder, patient).toMatchObject({ identity: "../b c", address: undefined });
  });

  test.each(["10.0.0.1:9901", "[fd00::1]:9901", "perch-0.perch.shop.svc:9901"])(
    "with the address %s has that",
    async (address) => {
      const { api, add } = await electing();
      const metadata = { ...object.metadata, annotations: { [addressAnnotation]: address } };
      api.put({ ...object, metadata, spec: { holderIdentity: "b", leaseDurationSeconds: 10 } });
      const { lease } = await add("a");
      await expect.poll(() => lease.holder?.address, patient).toBe(address);
    },
  );
});
