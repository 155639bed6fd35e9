import { expect, test } from "vitest";
import type { ReleaseSpec } from "../../../src/decide/release-spec.ts";
import type { RolloutSpec } from "../../../src/decide/rollout-spec.ts";
import { createLogger } from "../../../src/observe/log.ts";
import { RolloutController } from "../../../src/rollout/controller.ts";
import type { Judge } from "../../../src/rollout/controller-parts.ts";
import { planner } from "../../../src/rollout/plan/planner.ts";
import type { CheckResult, RolloutEvent, SavedState } from "../../../src/rollout/rollout-state.ts";
import { minute, pauseStep, plan, result, step } from "./plans.ts";

const asked = { why: "a try", by: "token 3f9a", ifRevision: undefined };

/** The plan under the controller, with a judge that sees nobody, and finds `found.failed`. */
async function running(first: RolloutSpec, saved?: SavedState) {
  const found: { failed: CheckResult | undefined; steps: number[] } = { failed: undefined, steps: [] };
  const nobody = { users: 0, bad: 0 };
  const none = { good: 0, failed: 0 };
  const questions = { failures: new Set([500]), slowLimitsMs: [], wantsBaselineDurations: false };
  const judge = (): Judge => ({
    report: () => found.failed,
    look: () => found.failed,
    beginStep: (begun) => found.steps.push(begun),
    mayBegin: () => true,
    questions: () => questions,
    checks: () => (found.failed === undefined ? [] : [found.failed]),
    users: { baseline: nobody, candidate: nobody },
    stepUsers: { baseline: 0, candidate: 0 },
    drawn: { baseline: none, candidate: none },
    placed: { baseline: none, candidate: none },
    save: () => ({}),
    close: () => void closed++,
  });
  const disk: { problem?: string; hangs?: Promise<void>; saves: SavedState[] } = { saves: [] };
  let closed = 0;
  const notified: RolloutEvent["type"][] = [];
  let nowMs = 0;
  let due: (() => void) | undefined;
  const controller = new RolloutController(
    {
      ...{ planner, judge },
      store: {
        save: async (state) => {
          await disk.hangs;
          if (disk.problem !== undefined) return { kind: "failed", why: disk.problem };
          disk.saves.push(structuredClone(state));
          return { kind: "saved" };
        },
      },
      act: async () => {},
      notify: (_, { type }) => void notified.push(type),
      log: createLogger({ level: "silent", nowMs: () => nowMs }),
      nowMs: () => nowMs,
      schedule(_, callback) {
        due = callback;
        return () => {};
      },
    },
    { saved, problem: undefined },
  );
  const take = async (rollout: RolloutSpec | undefined) => {
    const spec = { name: "shop", versions: ["stable", "canary"], rollout } as unknown as ReleaseSpec;
    const prepared = controller.prepare([spec]);
    await prepared.commit();
    return prepared.problems;
  };
  /** Waits for the look's work as well: changes are made one after the other. */
  const look = async (ms: number) => {
    nowMs += ms;
    due?.();
    await controller.setSplit("no such release", {}, undefined, asked);
  };
  const at = () => {
    const { phase, step: place } = controller.of("shop") ?? {};
    return `${phase} ${place}`;
  };
  await take(first);
  return { controller, found, disk, notified, take, look, at, closed: () => closed };
}

test("a plan runs through its steps, each of which the judge is told", async () => {
  const { controller, found, look, at } = await running(plan());
  for (const expected of ["progressing 2", "progressing 3", "completed 3"]) {
    await look(minute);
    expect(at()).toBe(expected);
  }
  expect(controller.directions.traffic.get("shop")?.rollout).toMatchObject({ candidateIs: "drawn", weight: 100 });
  expect(controller.eventsAfter(0).map(({ type }) => type)).toEqual(["started", "step", "step", "completed"]);
  expect(found.steps).toEqual([0, 1, 2]);
});

test("a failure that somebody resumed after does not stop the plan", async () => {
  const { controller, found, look, at } = await running(plan({ onFail: "pause" }));
  found.failed = result();
  await look(1_000);
  expect(at()).toBe("paused 1");
  await controller.change("shop", "resume", asked);
  await look(minute);
  expect(at()).toBe("progressing 2");
});

test("a step that a configuration begins counts its users from zero", async () => {
  const steps = [step(10), pauseStep, step(50)];
  const { found, take, look, at } = await running(plan({ steps, command: "pause" }));
  await take(plan({ steps }));
  await look(minute);
  await take(plan({ steps, command: "pause" }));
  await take(plan({ steps }));
  expect(at()).toBe("progressing 3");
  expect(found.steps).toEqual([0, 1, 2]);
});

test("one that is taken out has no traffic, and goes on paused when it is put back", async () => {
  const { controller, take, at, look } = await running(plan());
  await look(minute);
  await take(undefined);
  expect(controller.directions.traffic.size).toBe(0);
  await take(plan());
  expect(at()).toBe("paused 2");
  expect(controller.directions.traffic.get("shop")?.rollout).toMatchObject({ weight: 50 });
});

test("a new id takes the place of the old one, which does not come back", async () => {
  const { controller, take, at } = await running(plan());
  await take(plan({ id: "2.5.0" }));
  expect(controller.of("shop")).toMatchObject({ id: "2.5.0", phase: "progressing" });
  await take(plan());
  expect(at()).toBe("aborted 1");
  expect(await controller.change("shop", "resume", asked)).toMatchObject({ kind: "refused", cause: "wrong-phase" });
});

test("that it is taken out is told to those whom its plan notifies", async () => {
  const { notified, take } = await running(plan());
  await take(undefined);
  expect(notified).toEqual(["started", "aborted"]);
});

test("a rollback by configuration that cannot be saved is an event, and is saved once it can be", async () => {
  const { controller, disk, notified, take, look, at } = await running(plan());
  const { revision } = controller;
  disk.problem = "no space left on the device";
  await take(plan({ command: "rollback" }));
  expect(at()).toBe("rolled-back 1");
  expect(controller.directions.traffic.get("shop")?.rollout?.candidateIs).toBe("withdrawn");
  expect(notified).toEqual(["started", "rolled-back"]);
  expect(controller.revision).toBe(revision + 1);
  await look(1_000);
  delete disk.problem;
  await look(1_000);
  expect(disk.saves.at(-1)).toMatchObject({ revision: revision + 1, rollouts: [{ phase: "rolled-back" }] });
  expect(disk.saves.at(-1)?.events.map(({ type }) => type)).toEqual(["started", "rolled-back"]);
});

test("evidence of rollouts that others came after is not kept", async () => {
  const { disk, take } = await running(plan({ id: "1" }));
  await take(plan({ id: "2" }));
  await take(plan({ id: "3" }));
  expect(Object.keys(disk.saves.at(-1)?.judge ?? {})).toEqual([]);
  await take(plan({ id: "3", command: "pause" }));
  expect(Object.keys(disk.saves.at(-1)?.judge ?? {})).toEqual(["shop 3"]);
});

test("a rollback by configuration does not wait for a disk that hangs", async () => {
  const { controller, disk, take, at } = await running(plan());
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.hangs = promise;
  const taken = take(plan({ command: "rollback" }));
  expect(at()).toBe("rolled-back 1");
  expect(controller.directions.traffic.get("shop")?.rollout?.candidateIs).toBe("withdrawn");
  resolve();
  await taken;
  expect(controller.rollbacks()).toEqual([{ release: "shop", reason: "configuration", count: 1 }]);
  expect(disk.saves.at(-1)?.rollouts[0]?.phase).toBe("rolled-back");
});

test("a new rollout whose beginning cannot be saved lets the old one go on", async () => {
  const { controller, disk, take, look, at } = await running(plan());
  await look(minute);
  disk.problem = "no space left on the device";
  await take(plan({ id: "2.5.0" }));
  expect(controller.of("shop")).toMatchObject({ id: "2.4.0", phase: "progressing", weight: 50 });
  delete disk.problem;
  await look(1_000);
  expect(controller.of("shop")?.id).toBe("2.5.0");
  expect(at()).toBe("progressing 1");
});

test("what was rolled back stays so over a start with a configuration that does not fit", async () => {
  const first = await running(plan());
  await first.controller.change("shop", "rollback", asked);
  const { controller } = await running(plan({ candidate: "green" }), first.disk.saves.at(-1));
  expect(controller.directions.traffic.get("shop")?.rollout).toMatchObject({
    candidate: "canary",
    candidateIs: "withdrawn",
  });
});

test("a check that fails and stops nothing is told once", async () => {
  const { controller, found, notified, look } = await running(plan({ onFail: "pause" }));
  found.failed = result();
  for (let looks = 0; looks < 3; looks++) await look(1_000);
  expect(notified).toEqual(["started", "check", "paused"]);
  expect(controller.eventsAfter(1)[0]).toMatchObject({
    type: "check",
    why: expect.stringMatching(/^check errors fails: 37/),
  });
});

test("a check that ends the rollout is told by that alone", async () => {
  const { found, notified, look } = await running(plan());
  found.failed = result();
  for (let looks = 0; looks < 2; looks++) await look(1_000);
  expect(notified).toEqual(["started", "rolled-back"]);
});

test("what is over asks others no more", async () => {
  const { controller, closed } = await running(plan());
  await controller.change("shop", "promote", asked);
  expect(closed()).toBe(1);
});
