import type { RolloutBody } from "../../src/admin/rollout-body.ts";

type Step = RolloutBody["steps"][number];
export type Check = RolloutBody["checks"][number];

export const step = (title: string, rest: Partial<Step> = {}): Step => ({
  ...{ title, state: "next", weight: 10, holdMs: 600_000, heldMs: 0, atLeastUsers: 0 },
  ...rest,
});

export const check = (name: string, rest: Partial<Check> = {}): Check => ({
  ...{ name, metric: "errors", verdict: "pass", at: null, baseline: null, candidate: null },
  ...{ evidence: null, limit: null, interval: null, why: "" },
  ...rest,
});

/** Step 3 of 5, with four minutes to go. */
export const rollout: RolloutBody = {
  release: "shop",
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  phase: "progressing",
  why: "",
  since: "2026-11-29T14:00:00.000Z",
  revision: 7,
  sentence: "Step 3 of 5: 10 % for 4 more minutes; no check fails.",
  step: 3,
  steps: [
    step("1 %", { state: "done", weight: 1 }),
    step("50 % of ring region-cn-east-fdb304b2", { state: "done", weight: 50 }),
    step("10 %", { state: "current", heldMs: 360_000 }),
    step("pause", { weight: null, holdMs: 0 }),
    step("50 %", { weight: 50 }),
  ],
  weight: 10,
  checks: [check("errors")],
  users: { baseline: { users: 900, bad: 3 }, candidate: { users: 100, bad: 1 } },
  stepUsers: { baseline: 90, candidate: 10 },
  placed: { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } },
  drawn: { baseline: { good: 900, failed: 3 }, candidate: { good: 100, failed: 1 } },
  startedAt: "2026-11-29T13:00:00.000Z",
  stateProblem: null,
};
