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

test("counts beyond all that can be written do not cost a new judge what was known", () => {
  const spec = plan({ checks: [], drift: "off" });
  const judge = new RolloutJudge(spec, undefined);
  const most = 2 ** 52;
  const answers = { good: most, failed: most };
  const dead = reportOf(10, 0, { bad: 1 });
  const baseline = reportOf(3, 100, { side: "baseline", bad: 1, goodBefore: most });
  const sightings = [...dead.sightings, ...baseline.sightings];
  for (let at = 0; at < 3; at++) {
    judge.report({ ...dead, sightings }, at);
    const drawn = { baseline: answers, candidate: { good: 0, failed: most } };
    judge.report({ ...dead, sightings: [], drawn, placed: { baseline: answers, candidate: answers } }, at);
  }
  const next = new RolloutJudge(spec, JSON.parse(JSON.stringify(judge.save())));
  expect(next.users).toEqual(judge.users);
  expect(next.drawn).toEqual(judge.drawn);
  expect(next.drawn.candidate.failed).toBe(Number.MAX_SAFE_INTEGER);
});
