import { expect, test } from "vitest";
import type { RolloutBody } from "../../src/admin/rollout-body.ts";
import { describeRollout } from "../../src/dashboard/words/describe-rollout.ts";
import { check, rollout } from "./rollout-fixture.ts";

const atStep = (step: number, heldMs: number): Partial<RolloutBody> => ({
  step,
  steps: rollout.steps.map((each, index) => (index === step - 1 ? { ...each, state: "current", heldMs } : each)),
});

const cases: readonly (readonly [is: string, of: Partial<RolloutBody>, sentence: string])[] = [
  ["on its way", {}, "第 3 步，共 5 步：10 %，还需 4 分钟；没有检查失败。接着是第 4 步（暂停）。"],
  [
    "a ring",
    atStep(2, 0),
    "第 2 步，共 5 步：分组 region-cn-east-fdb304b2 的 50 %，还需 10 分钟；没有检查失败。接着是第 3 步（10 %）。",
  ],
  ["nearly over", atStep(3, 590_500), "第 3 步，共 5 步：10 %，还需 10 秒；没有检查失败。接着是第 4 步（暂停）。"],
  ["over", atStep(5, 600_000), "第 5 步，共 5 步：50 %，停留时间已满；没有检查失败。这是最后一步。"],
  [
    "above its plan",
    { weight: 20 },
    "第 3 步，共 5 步：20 %（计划为 10 %），还需 4 分钟；没有检查失败。接着是第 4 步（暂停）。",
  ],
  [
    "failing",
    { checks: [check("errors", { verdict: "fail" }), check("slow"), check("drift", { verdict: "fail" })] },
    "第 3 步，共 5 步：10 %，还需 4 分钟；检查 errors、drift 失败。接着是第 4 步（暂停）。",
  ],
  ["not begun", { phase: "pending", step: 0, why: "it begins now" }, "尚未开始：it begins now。"],
  [
    "started, with a gate",
    { phase: "holding", step: 0, why: "step 1 waits for gate qa." },
    "已启动，仍在等待：step 1 waits for gate qa。放行后会自动开始。",
  ],
  [
    "holding",
    { phase: "holding", why: "12 of at least 500 users" },
    "第 3 步，共 5 步：10 %，正在等待：12 of at least 500 users。条件满足后会自动继续。",
  ],
  [
    "paused",
    { phase: "paused", why: "lunch." },
    "已暂停（第 3 步，共 5 步：10 %）：lunch。`resume` 继续，`rollback` 撤下 canary。",
  ],
  [
    "rolled back",
    { phase: "rolled-back", why: "too many errors", weight: 0 },
    "已回滚（第 3 步，共 5 步：10 %）：too many errors。没有用户会分到 canary；要重试，请给 rollout 一个新的 `id`。",
  ],
  ["aborted", { phase: "aborted", why: "taken out" }, "已中止：taken out。现在由 split 决定分流。"],
];

test.each(cases)("in Chinese: %s", (_is, of, sentence) => {
  expect(describeRollout({ ...rollout, ...of })).toBe(sentence);
});

test("a completed one warns of taking it out", () => {
  expect(describeRollout({ ...rollout, phase: "completed" })).toMatch(/^已完成：所有用户都使用 canary。/);
});
