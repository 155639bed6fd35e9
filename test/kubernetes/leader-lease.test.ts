/** @module-tag slow */
import { performance } from "node:perf_hooks";
import { describe, expect, test } from "vitest";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient } from "../../src/kubernetes/api-client.ts";
import { LeaderLease } from "../../src/kubernetes/leader-lease.ts";
import { scheduleUnref } from "../../src/upstream/clock.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

const object = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace: "shop", name: "perch" } };
/** Time passes so much faster than it does, so that a lease of ten seconds lasts two and a half. */
const faster = 4;
const patient = { timeout: 20_000, interval: 10 };

class Candidate {
  readonly lease: LeaderLease;
  readonly told: string[] = [];
  readonly #pauses: (() => void)[] = [];
  #isPaused = false;
  #stoodMs = 0;

  constructor(client: ApiClient, identity: string, clockMs = 0) {
    const run = (callback: () => void) => {
      if (this.#isPaused) this.#pauses.push(callback);
      else callback();
    };
    this.lease = new LeaderLease({
      ...{ client, identity, namespace: "shop", name: "perch", address: `${identity}:9901` },
      timers: {
        nowMs: () => Date.now() + clockMs,
        monotonicMs: () => performance.now() * faster,
        schedule: (ms, callback) => scheduleUnref(ms / faster, () => run(callback)),
      },
      randomFraction: Math.random,
      onHeld: () => void this.told.push("held"),
      onLost: () => void this.told.push("lost"),
      onHolder: (holder) => void this.told.push(`holder ${holder?.identity ?? "nobody"} at ${holder?.address}`),
      onTrouble() {},
    });
  }

  /** As a process that is stopped: no timer fires, and time goes on. */
  pause(): void {
    this.#isPaused = true;
    this.#stoodMs = performance.now();
  }

  resume(): number {
    this.#isPaused = false;
    for (const callback of this.#pauses.splice(0)) callback();
    return performance.now() - this.#stoodMs;
  }
}

async function electing() {
  const api = await KubernetesApi.start();
  const candidates: Candidate[] = [];
  const add = async (identity: string, clockMs?: number) => {
    const { folder, env } = await api.pod(identity);
    const access = podAccess(env, () => performance.now(), folder);
    const candidate = new Candidate(new ApiClient(access), identity, clockMs);
    candidates.push(candidate);
    freeAfterTest(async () => {
      await candidate.lease.close();
      await access.close();
    });
    return candidate;
  };
  const holders = () => candidates.filter(({ lease }) => lease.isHeld);
  const holderInApi = () => (api.object(object)?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
  return { api, add, holders, holderInApi };
}

describe("a Lease", () => {
  test("is held by one, and all know by whom and where it is", async () => {
    const { add, holders, holderInApi } = await electing();
    const all = [await add("a"), await add("b"), await add("c")];
    await expect.poll(() => holders().length, patient).toBe(1);
    const identity = holderInApi();
    for (const { lease } of all) {
      await expect.poll(() => lease.holder, patient).toMatchObject({ identity, address: `${identity}:9901` });
    }
  });

  test("is taken once, however many begin at once", async () => {
    for (let round = 0; round < 5; round++) {
      const { add, api } = await electing();
      await Promise.all(["a", "b", "c", "d", "e"].map((identity) => add(identity)));
      await expect.poll(() => api.object(object), patient).toBeDefined();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(api.object(object)?.spec).toMatchObject({ leaseTransitions: 1 });
    }
  });

  test("stays with its holder while it is renewed, whatever the clocks say", async () => {
    const { add, holders } = await electing();
    const first = await add("a", -3_600_000);
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    const others = [await add("b", 3_600_000), await add("c", 10_000)];
    const untilMs = performance.now() + 6_000;
    while (performance.now() < untilMs) {
      expect(holders()).toEqual([first]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const { told } of others) expect(told).toEqual(["holder a at a:9901"]);
  });

  test("goes to another at once when it is given back", async () => {
    const { add, holderInApi } = await electing();
    const first = await add("a");
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    const second = await add("b");
    await expect.poll(() => second.lease.holder?.identity, patient).toBe("a");
    await first.lease.release();
    expect(first.lease.isHeld).toBe(false);
    await expect.poll(() => second.lease.isHeld, { timeout: 2_000, interval: 10 }).toBe(true);
    expect(holderInApi()).toBe("b");
    expect(first.told).toContain("lost");
  });

  test("is not two's: a holder that was stopped finds that it holds it no longer before anything else", async () => {
    const { add, holderInApi } = await electing();
    const first = await add("a");
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    const second = await add("b");
    first.pause();
    await expect.poll(() => second.lease.isHeld, patient).toBe(true);
    expect(first.lease.isHeld).toBe(false);
    first.resume();
    expect(first.lease.isHeld).toBe(false);
    await expect.poll(() => first.told.slice(2).sort(), patient).toEqual(["holder b at b:9901", "lost"]);
    expect(holderInApi()).toBe("b");
    expect(second.lease.isHeld).toBe(true);
  });

  test("is given up by a holder that the API has lost before another may take it", async () => {
    const { api, add, holders } = await electing();
    const first = await add("a");
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    const second = await add("b");
    await expect.poll(() => second.lease.holder?.identity, patient).toBe("a");
    api.cutOff("a");
    let most = 0;
    while (!second.lease.isHeld) {
      most = Math.max(most, holders().length);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(most).toBeLessThanOrEqual(1);
    expect(first.lease.isHeld).toBe(false);
    expect(first.told).toContain("lost");
    api.letBack("a");
    await expect.poll(() => first.lease.holder?.identity, patient).toBe("b");
  });

  test("survives an answer that was lost, and a note of somebody else on it", async () => {
    const { api, add } = await electing();
    const first = await add("a");
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    const now = api.object(object);
    if (now === undefined) throw new Error("no Lease");
    api.put({ ...now, metadata: { ...now.metadata, labels: { noted: "yes" } } });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(first.lease.isHeld).toBe(true);
    expect(first.told).not.toContain("lost");
  });

  test("whose renewal is answered too late, to a process that has not noticed the time yet, is lost", async () => {
    const { api, add } = await electing();
    const first = await add("a");
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    await expect.poll(() => api.watches, patient).toBe(1);
    // The first renewal fails after two seconds. The second is answered eight after the lease was taken: after the seven for
    // which it was held, and before the seven of the second are over.
    const before = api.writes.length;
    api.refuse({ status: 500, reason: "no leader" });
    api.delayAnswers(5_500 / faster);
    await expect.poll(() => api.writes.length, patient).toBe(before + 1);
    first.pause();
    await expect.poll(() => first.lease.isHeld, patient).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 1_500 / faster));
    expect(first.lease.isHeld).toBe(false);
    expect(first.told.at(-1)).toBe("lost");
    api.delayAnswers(0);
    first.resume();
    await expect
      .poll(() => first.told.filter((each) => !each.startsWith("holder")), patient)
      .toEqual(["held", "lost", "held"]);
  });

  test("that is taken away is lost", async () => {
    const { api, add } = await electing();
    const first = await add("a");
    await expect.poll(() => first.lease.isHeld, patient).toBe(true);
    const now = api.object(object);
    if (now === undefined) throw new Error("no Lease");
    api.put({ ...now, spec: { ...(now.spec as object), holderIdentity: "somebody", leaseTransitions: 7 } });
    await expect.poll(() => first.told, patient).toContain("lost");
    expect(first.lease.isHeld).toBe(false);
  });
});
