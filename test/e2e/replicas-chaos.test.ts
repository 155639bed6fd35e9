/** @module-tag slow */
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { ReplicaSet, rolloutAt } from "../kit/replicas.ts";
import { Visitor } from "../kit/visitor.ts";

const patient = { timeout: 60_000, interval: 100 };

/** Numbers in [0, 1) that are the same in each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

const failures = [
  { status: 409, reason: "Conflict" },
  { status: 429, reason: "TooManyRequests", headers: { "retry-after": "1" } },
  { status: 500, reason: "InternalError" },
];

test.each([1, 2])(
  "an API that fails in all ways neither skips a step, nor repeats one, nor brings back a candidate (%i)",
  async (seed) => {
    const weights = [10, 20, 30, 40, 50, 60];
    const steps = weights.map((weight) => `{ weight: ${weight}, hold: 2s }`).join(", ");
    const set = await ReplicaSet.start(`{ id: "2", candidate: canary, steps: [${steps}, { weight: 100, hold: 1h }] }`);
    const { api, canary, replicas } = set;
    const random = numbers(seed);
    const some = () => replicas[Math.floor(random() * replicas.length)]?.account ?? "";
    const troubles = [
      () =>
        api.refuse(
          ...Array.from(
            { length: Math.ceil(random() * 20) },
            () => failures[Math.floor(random() * 3)] ?? failures[0],
          ).filter((each) => each !== undefined),
        ),
      () => api.delay(random() * 3_000),
      () => api.delayAnswers(random() * 5_000),
      () => api.endWatches(random() < 0.5 ? "ended" : "broken"),
      () => api.compact(),
      () => api.cutOff(some()),
      () => api.stick(),
      () => api.sendError(410, "too old resource version"),
    ];
    const calm = async () => {
      api.delay(0);
      api.delayAnswers(0);
      api.unstick();
      for (const { account } of replicas) api.letBack(account);
      await setTimeout(random() * 4_000);
    };
    const trouble = async () => {
      for (let at = 0; at < 2; at++) troubles[Math.floor(random() * troubles.length)]?.();
      for (let user = 0; user < 10; user++) {
        for (const { origin } of replicas) expect((await new Visitor().get(origin)).status).toBe(200);
        await setTimeout(random() * 300);
      }
    };
    for (let round = 0; round < 6; round++) {
      await trouble();
      await calm();
    }
    for (const replica of replicas) await expect.poll(async () => (await rolloutAt(replica)).step, patient).toBe(7);
    canary.status = 500;
    const phases = async () => Promise.all(replicas.map(async (each) => (await rolloutAt(each)).phase));
    const isOver = async () => (await phases()).every((phase) => phase === "rolled-back");
    for (let user = 0; user < 2_000 && !(await isOver()); user++) {
      await new Visitor().get(replicas[user % 3]?.origin ?? "");
      await setTimeout(10);
    }
    canary.status = 200;
    const { seen } = canary;
    for (let round = 0; round < 4; round++) {
      await trouble();
      expect(await phases()).toEqual(["rolled-back", "rolled-back", "rolled-back"]);
      await calm();
    }
    expect(canary.seen).toBe(seen);
    await expect.poll(() => set.events.at(-1)?.type, patient).toBe("rolled-back");
    const { events } = set;
    expect(events.map(({ id }) => id)).toEqual(events.map((_, at) => at + 1));
    const begun = events.filter(({ type }) => type === "started" || type === "step").map(({ weight }) => weight);
    expect(begun).toEqual([...weights, 100]);
    expect(set.foreignWrites()).toBe(0);
    await set.leader();
  },
  240_000,
);
