import { expect, test } from "vitest";
import { RolloutJudge } from "../../src/rollout/judge.ts";
import { plan } from "./plan/plans.ts";
import { reportOf } from "./replicas/replica-room.ts";

test("what a judge saved stays as it is when it is written later, after other reports", () => {
  const judge = new RolloutJudge(
    plan({ checks: [{ kind: "compare", name: "slower", metric: "slow", over: "p95" }], drift: "fail" }),
    undefined,
  );
  const baselineDurations = [0, 0, 3];
  judge.report({ ...reportOf(20, 0, { bad: 1 }), baselineDurations }, 1);
  const saved = judge.save();
  const before = JSON.stringify(saved);
  judge.report({ ...reportOf(2_000, 10, { bad: 1 }), baselineDurations }, 2);
  expect(JSON.stringify(judge.save())).not.toBe(before);
  expect(JSON.stringify(saved)).toBe(before);
});
