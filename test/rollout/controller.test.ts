import { describe, expect, test } from "vitest";
import type { ReleaseSpec } from "../../src/decide/release-spec.ts";
import type { TrafficByRelease } from "../../src/decide/release-traffic.ts";
import { createLogger } from "../../src/observe/log.ts";
import type { RolloutReport } from "../../src/observe/rollout/rollout-report.ts";
import { RolloutController } from "../../src/rollout/controller.ts";
import type { Judge, Move, Planner } from "../../src/rollout/controller-parts.ts";
import type { CheckResult, Phase, RolloutState, SavedState } from "../../src/rollout/rollout-state.ts";
import { plan, step } from "./plan/plans.ts";

const rollout = plan({ steps: [step(10)], drift: "off", candidateEndpoints: [] });
const release = { name: "shop", versions: ["stable", "canary"], rollout } as unknown as ReleaseSpec;

const began: RolloutState = {
  release: "shop",
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  candidateEndpoints: [],
  phase: "progressing",
  why: "started",
  sinceMs: 0,
  step: 0,
  heldMs: 0,
  countedAtMs: 0,
  weight: 10,
  rings: [],
  planned: [],
  command: "run",
  startedAtMs: 0,
  track: [],
};

function moved(state: RolloutState, phase: Phase, by: string, why: string): Move {
  if (state.phase === phase) return { state, events: [] };
  const types = { progressing: "resumed", pending: "step", holding: "step", "rolling-back": "rolled-back" } as const;
  const type = phase in types ? types[phase as keyof typeof types] : (phase as Exclude<Phase, keyof typeof types>);
  return { state: { ...state, phase, why }, events: [{ type, by, why }] };
}

/** The smallest plan: begins at once, never ends. */
const planner: Planner = {
  reconcile: (spec, [known]) => {
    if (spec.rollout === undefined) return { kind: "none" };
    if (known === undefined)
      return { kind: "moved", state: began, events: [{ type: "started", by: "perch", why: "it began" }] };
    if (known.candidate !== spec.rollout.candidate) return { kind: "refused", message: "give it a new id" };
    return { kind: "moved", state: known, events: [] };
  },
  advance: (_, state) => ({ state, events: [] }),
  fail: (spec, state, { why }) => moved(state, spec.onFail === "rollback" ? "rolled-back" : "paused", "perch", why),
  apply: (_, state, verb, { by, why }) => {
    if (state.phase === "rolled-back" && verb !== "rollback")
      return { kind: "refused", message: "it was rolled back: give it a new id" };
    return moved(state, verb === "pause" ? "paused" : verb === "rollback" ? "rolled-back" : "progressing", by, why);
  },
  trafficOf: ({ id, baseline, candidate, phase, step, weight, rings }) =>
    phase === "pending"
      ? undefined
      : { id, baseline, candidate, candidateIs: phase === "rolled-back" ? "withdrawn" : "drawn", step, weight, rings },
  steps: () => [],
  sentence: (_, { why }) => why,
};

const failure: CheckResult = {
  name: "errors",
  metric: "errors",
  verdict: "fail",
  atMs: 0,
  baseline: null,
  candidate: null,
  evidence: 200,
  limit: 100,
  interval: null,
  why: "ten users met errors",
};

/** Fails with the first report of a failed answer. */
function judge(): Judge {
  let failed: CheckResult | undefined;
  const none = { users: 0, bad: 0 };
  const asked = { failures: new Set([500]), slowLimitsMs: [], wantsBaselineDurations: false };
  const answers = { good: 0, failed: 0 };
  return {
    report({ drawn }) {
      if (drawn.candidate.failed > 0) failed = failure;
      return failed;
    },
    look: () => failed,
    beginStep() {},
    mayBegin: () => true,
    questions: () => asked,
    checks: () => (failed === undefined ? [] : [failed]),
    users: { baseline: none, candidate: none },
    stepUsers: { baseline: 0, candidate: 0 },
    drawn: { baseline: answers, candidate: answers },
    placed: { baseline: answers, candidate: answers },
    save: () => ({ failed: failed !== undefined }),
    close() {},
  };
}

function failedReport(id = "2.4.0"): RolloutReport {
  const none = { good: 0, failed: 0 };
  const drawn = { baseline: none, candidate: { good: 0, failed: 10 } };
  return {
    release: "shop",
    id,
    sightings: [],
    drawn,
    placed: { baseline: none, candidate: none },
    baselineDurations: [],
  };
}

async function started(saved?: SavedState, problem?: string) {
  const disk: { problem: string | undefined; saves: SavedState[] } = { problem, saves: [] };
  const acted: TrafficByRelease[] = [];
  let nowMs = 0;
  let due: (() => void) | undefined;
  const controller = new RolloutController(
    {
      store: {
        save: async (state) => {
          if (disk.problem === undefined) disk.saves.push(structuredClone(state));
          return disk.problem === undefined ? { kind: "saved" } : { kind: "failed", why: disk.problem };
        },
      },
      planner,
      judge,
      act: async ({ traffic }) => void acted.push(traffic),
      notify() {},
      log: createLogger({ level: "silent", nowMs: () => nowMs }),
      nowMs: () => nowMs,
      schedule(_, callback) {
        due = callback;
        return () => {};
      },
    },
    { saved, problem: undefined },
  );
  const take = async (spec = release) => {
    const prepared = controller.prepare([spec]);
    if (prepared.problems.length === 0) await prepared.commit();
    return prepared;
  };
  /** Moves time, and waits for the look's work: changes are made one after the other. */
  const look = async (ms: number) => {
    nowMs += ms;
    due?.();
    await controller.setSplit("no such release", {}, undefined, asked);
  };
  await take();
  return { controller, disk, acted, take, look };
}

const asked = { why: "a try", by: "token 3f9a", ifRevision: undefined };
const candidateIs = (traffic: TrafficByRelease | undefined) => traffic?.get("shop")?.rollout?.candidateIs;

describe("RolloutController", () => {
  test("a rollout that begins is saved before its traffic is known", async () => {
    const { controller, disk } = await started();
    expect(disk.saves.at(-1)?.rollouts[0]?.phase).toBe("progressing");
    expect(candidateIs(controller.directions.traffic)).toBe("drawn");
    expect(controller.eventsAfter(0).map(({ id, type }) => [id, type])).toEqual([[1, "started"]]);
  });

  test("a failed check withdraws before the report returns, and is saved after", async () => {
    const { controller, acted, disk, look } = await started();
    controller.report(failedReport());
    expect(candidateIs(acted.at(-1))).toBe("withdrawn");
    await look(1_000);
    expect(disk.saves.at(-1)?.rollouts[0]?.phase).toBe("rolled-back");
    expect(controller.rollbacks()).toEqual([{ release: "shop", reason: "errors", count: 1 }]);
  });

  test("a withdrawal that cannot be saved holds all the same, and is saved once it can be", async () => {
    const { controller, acted, disk, look } = await started();
    disk.problem = "no space left on the device";
    controller.report(failedReport());
    await look(1_000);
    expect(candidateIs(acted.at(-1))).toBe("withdrawn");
    expect(controller.of("shop")?.stateProblem).toBe("no space left on the device");
    disk.problem = undefined;
    await look(1_000);
    expect(disk.saves.at(-1)?.rollouts[0]?.phase).toBe("rolled-back");
    expect(controller.of("shop")?.stateProblem).toBeNull();
  });

  test("a change that cannot be saved changes nothing", async () => {
    const { controller, acted, disk } = await started();
    disk.problem = "read-only";
    expect(await controller.change("shop", "pause", asked)).toMatchObject({ kind: "refused", cause: "not-saved" });
    expect(controller.of("shop")?.phase).toBe("progressing");
    expect(acted).toEqual([]);
  });

  test("verbs are idempotent, and the second of two people is told", async () => {
    const { controller } = await started();
    const ifRevision = controller.revision;
    expect(await controller.change("shop", "pause", { ...asked, ifRevision })).toMatchObject({ changed: true });
    expect(await controller.change("shop", "pause", asked)).toMatchObject({ kind: "done", changed: false });
    const second = await controller.change("shop", "resume", { ...asked, ifRevision });
    expect(second).toMatchObject({ kind: "refused", cause: "conflict" });
  });

  test("a report on another rollout is dropped", async () => {
    const { controller, acted } = await started();
    controller.report(failedReport("2.3.0"));
    expect(acted).toEqual([]);
  });

  test("a reload that changes the candidate under a known id is refused", async () => {
    const { take } = await started();
    const changed = { ...release, rollout: { ...rollout, candidate: "other" } };
    expect(await take(changed)).toMatchObject({
      problems: [{ release: "shop", message: "give it a new id" }],
    });
  });

  test("a rollout goes on where the saved state has it", async () => {
    const first = await started();
    await first.controller.change("shop", "pause", asked);
    const { controller } = await started(first.disk.saves.at(-1));
    expect(controller.of("shop")?.phase).toBe("paused");
    expect(controller.revision).toBe(first.controller.revision);
  });

  test("a split for a while ends by itself", async () => {
    const { controller, look } = await started();
    await controller.setSplit("shop", { stable: 1 }, 5_000, asked);
    expect(controller.directions.traffic.get("shop")?.split).toEqual({ stable: 1 });
    await look(5_000);
    await look(1_000);
    expect(controller.splits()).toEqual([]);
  });

  test("a split is ended by whoever asks: the configured one holds at once, and that is an event", async () => {
    const { controller, disk, acted } = await started();
    await controller.setSplit("shop", { canary: 1 }, undefined, asked);
    const before = controller.revision;
    expect(await controller.endSplit("shop", { ...asked, why: "enough seen" })).toMatchObject({
      kind: "done",
      split: { release: "shop", split: { canary: 1 } },
      revision: before + 1,
    });
    expect(acted.at(-1)?.get("shop")?.split).toBeUndefined();
    expect([controller.splits(), disk.saves.at(-1)?.splits]).toEqual([[], []]);
    expect(controller.eventsAfter(0).at(-1)).toMatchObject({ type: "split", by: "token 3f9a" });
    const ofSplits = controller.eventsAfter(0).filter(({ type }) => type === "split");
    expect(ofSplits.map(({ why }) => why)).toEqual([
      `split set to canary 1: ${asked.why}`,
      "the split set by hand ends, and the configured one holds again: enough seen",
    ]);
  });

  test("the end of a split is refused where there is none, at another revision, and if it cannot be saved", async () => {
    const { controller, disk } = await started();
    const end = (ifRevision?: number) => controller.endSplit("shop", { ...asked, ifRevision });
    expect(await end()).toMatchObject({ kind: "refused", cause: "no-rollout" });
    expect(await controller.endSplit("blog", asked)).toMatchObject({ kind: "refused", cause: "no-rollout" });
    await controller.setSplit("shop", { canary: 1 }, undefined, asked);
    expect(await end(controller.revision - 1)).toMatchObject({ kind: "refused", cause: "conflict" });
    disk.problem = "read-only";
    expect(await end(controller.revision)).toMatchObject({ kind: "refused", cause: "not-saved" });
    expect(controller.directions.traffic.get("shop")?.split).toEqual({ canary: 1 });
    disk.problem = undefined;
    expect(await end(controller.revision)).toMatchObject({ kind: "done" });
    expect(await end()).toMatchObject({ kind: "refused", cause: "no-rollout" });
  });

  test("a split without an end holds until the configuration has another, or lacks one of its versions", async () => {
    const { controller, disk, take } = await started();
    const configured = { ...release, split: { stable: 1 } };
    const set = async (forMs?: number) => {
      await take(configured);
      await controller.setSplit("shop", { canary: 1 }, forMs, asked);
    };
    await set();
    await take({ ...configured, rollout: { ...rollout, command: "pause" } });
    expect(controller.splits()).toHaveLength(1);
    await take({ ...configured, split: { stable: 2, canary: 1 } });
    expect([controller.splits(), disk.saves.at(-1)?.splits]).toEqual([[], []]);
    expect(controller.eventsAfter(0).at(-1)).toMatchObject({ type: "split", by: "configuration" });
    await set(60_000);
    await take({ ...configured, split: { stable: 2, canary: 1 } });
    expect(controller.splits()).toHaveLength(1);
    await take({ ...configured, versions: ["stable", "other"] });
    expect(controller.splits()).toEqual([]);
  });

  test("a rollout whose beginning cannot be saved waits, and begins once it can be", async () => {
    const { controller, disk, acted, look } = await started(undefined, "read-only");
    expect(controller.of("shop")).toMatchObject({ phase: "pending", stateProblem: "read-only" });
    expect(controller.directions.traffic.size).toBe(0);
    disk.problem = undefined;
    await look(1_000);
    expect(controller.of("shop")?.phase).toBe("progressing");
    expect(candidateIs(acted.at(-1))).toBe("drawn");
  });
});
