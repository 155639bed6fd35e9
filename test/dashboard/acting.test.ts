import { describe, expect, test } from "vitest";
import type { RolloutBody } from "../../src/admin/rollout-body.ts";
import { effectOf } from "../../src/dashboard/acting/effects.ts";
import { obstacleTo } from "../../src/dashboard/acting/possible-changes.ts";
import { percentagesOf, sharesOf, splitText, withWeight } from "../../src/dashboard/acting/split-weights.ts";
import type { Phase } from "../../src/rollout/rollout-state.ts";
import type { Verb } from "../../src/rollout/rollouts-api.ts";

const step = (title: string, weight: number | null, state: "done" | "current" | "next", heldMs = 0) => {
  return { title, state, weight, holdMs: 60_000, heldMs, atLeastUsers: 0 } as const;
};

/** At step 2 of 4, with 10 %. */
const rollout: RolloutBody = {
  release: "shop",
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  phase: "progressing",
  why: "",
  since: "2026-11-29T12:00:00.000Z",
  startedAt: "2026-11-29T12:00:00.000Z",
  revision: 7,
  sentence: "",
  step: 2,
  steps: [
    step("1 %", 1, "done", 60_000),
    step("10 %", 10, "current", 20_000),
    step("pause", null, "next"),
    step("55 %", 55, "next"),
  ],
  weight: 10,
  checks: [],
  users: { baseline: { users: 900, bad: 0 }, candidate: { users: 100, bad: 0 } },
  stepUsers: { baseline: 0, candidate: 0 },
  placed: { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } },
  drawn: { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } },
  stateProblem: null,
};

describe("what a change does to people", () => {
  const cases: readonly [sentence: string, verb: Verb, rollout: RolloutBody, effect: object][] = [
    ["a pause moves nobody", "pause", rollout, { kind: "stays" }],
    [
      "a rollback moves who is on the candidate",
      "rollback",
      rollout,
      { kind: "move", users: 100, to: "stable", share: 0 },
    ],
    ["a promotion moves everybody else", "promote", rollout, { kind: "move", users: 900, to: "canary", share: 1 }],
    ["a step that is a pause moves nobody", "step", rollout, { kind: "stays" }],
    [
      "a step moves as many of the others as the weight rises: 45 of 90 per cent",
      "step",
      { ...rollout, step: 3 },
      { kind: "move", users: 450, to: "canary", share: 0.55 },
    ],
    [
      "after the last step everybody moves",
      "step",
      { ...rollout, step: 4 },
      { kind: "move", users: 900, to: "canary", share: 1 },
    ],
    ["a pause in the middle of a step goes on with it", "resume", { ...rollout, phase: "paused" }, { kind: "goes-on" }],
    [
      "a pause that is a step goes on with the next",
      "resume",
      { ...rollout, phase: "paused", step: 3 },
      { kind: "move", users: 450, to: "canary", share: 0.55 },
    ],
    [
      "of a ring only the rollout knows who belongs to it",
      "step",
      { ...rollout, steps: [rollout.steps, step("50 % of ring region=cn-east", 50, "next")].flat(), step: 4 },
      { kind: "ring", title: "50 % of ring region=cn-east", to: "canary" },
    ],
  ];
  test.each(cases)("%s", (_sentence, verb, given, effect) => {
    expect(effectOf(verb, given)).toEqual(effect);
  });
});

describe("what can be done", () => {
  const allowed = { caller: "token 3f9a12", change: "allowed" } as const;
  const obstacles = (phase: Phase, begun = 2) =>
    Object.fromEntries(
      (["start", "pause", "resume", "step", "promote", "rollback"] as const).map((verb) => {
        return [verb, obstacleTo(verb, { rollout: { ...rollout, phase, step: begun }, access: allowed, isLive: true })];
      }),
    );

  test("while it progresses everything but what is so already", () => {
    expect(obstacles("progressing")).toEqual({ start: "begun", resume: "not-paused" });
  });

  test("before it has begun no step, and nothing to resume", () => {
    expect(obstacles("pending", 0)).toEqual({ step: "not-begun", resume: "not-begun" });
  });

  test("after it is completed only the rollback", () => {
    const { rollback, ...others } = obstacles("completed");
    expect(rollback).toBeUndefined();
    expect(new Set(Object.values(others))).toEqual(new Set(["completed"]));
  });

  test("after a rollback nothing", () => {
    expect(new Set(Object.values(obstacles("rolled-back")))).toEqual(new Set(["rolled-back"]));
  });

  test("nothing where the page is cut off, or no token is configured", () => {
    const none = { caller: null, change: "no-token-configured" } as const;
    expect(obstacleTo("rollback", { rollout, access: allowed, isLive: false })).toBe("disconnected");
    expect(obstacleTo("rollback", { rollout, access: none, isLive: true })).toBe("no-token-configured");
    expect(obstacleTo("pause", { rollout: undefined, access: allowed, isLive: true })).toBe("no-rollout");
  });
});

describe("the weights of a split", () => {
  const versions = [
    { version: "stable", configuredShare: 2 / 3 },
    { version: "canary", configuredShare: 1 / 3 },
  ];

  test("start as those in force, in hundredths of a per cent", () => {
    expect(percentagesOf(versions)).toEqual({ stable: 66.67, canary: 33.33 });
  });

  test("of two versions the other one takes the rest", () => {
    expect(withWeight({ stable: 66.7, canary: 33.3 }, "canary", 0.1)).toEqual({ stable: 99.9, canary: 0.1 });
    expect(withWeight({ stable: 66.7, canary: 33.3 }, "stable", 140)).toEqual({ stable: 100, canary: 0 });
  });

  test("of three the others keep theirs", () => {
    expect(withWeight({ a: 50, b: 30, c: 20 }, "b", 60)).toEqual({ a: 50, b: 60, c: 20 });
  });

  test("give shares by their sum, and none where all are zero", () => {
    expect(sharesOf({ a: 30, b: 90 })).toEqual({ a: 0.25, b: 0.75 });
    expect(sharesOf({ a: 0, b: 0 })).toBeUndefined();
  });

  test("are written as the preview reads them", () => {
    expect(splitText({ stable: 99.9, canary: 0.1 })).toBe("stable:99.9,canary:0.1");
  });
});
