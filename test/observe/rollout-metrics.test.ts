import { describe, expect, test } from "vitest";
import { type RolloutsSource, rolloutMetrics } from "../../src/observe/rollout/rollout-metrics.ts";

const check = { name: "errors", metric: "errors", verdict: "pass", evidence: 0.5, limit: 400 };

const shop = {
  release: "shop",
  phase: "progressing",
  step: 2,
  baseline: "stable",
  candidate: "canary",
  users: { baseline: { users: 90, bad: 1 }, candidate: { users: 10, bad: 3 } },
  checks: [
    check,
    { name: "ceiling", metric: "errors", verdict: "not-enough-data", evidence: null, limit: 0.05 },
    { name: "orders", metric: "prometheus", verdict: "not-enough-data", evidence: null, limit: 0.9 },
    { name: "drift", metric: "drift", verdict: "fail", evidence: 500, limit: 100 },
  ],
  stateProblem: null,
};

function linesOf(name: string, given: Partial<RolloutsSource> | undefined): readonly string[] {
  const source = given && {
    all: () => [shop],
    rollbacks: () => [],
    configured: () => [],
    notifications: () => ({ delivered: 0, failed: 0, dropped: 0 }),
    ...given,
  };
  const metric = rolloutMetrics(source).find((each) => each.name === name);
  if (metric === undefined) throw new Error(`${name} is not declared`);
  return Array.from(metric.samples(), ({ labels, value }) => [...Object.values(labels), value].join(" "));
}

describe("a rollout's metrics", () => {
  test.each([
    ["perch_rollout_phase", ["shop progressing 1"]],
    ["perch_rollout_step", ["shop 2"]],
    ["perch_rollout_users", ["shop stable 90", "shop canary 10"]],
    ["perch_rollout_bad_users", ["shop stable 1", "shop canary 3"]],
    [
      "perch_check_verdict",
      ["shop errors pass 1", "shop ceiling not-enough-data 1", "shop orders not-enough-data 1", "shop drift fail 1"],
    ],
    ["perch_check_evidence", ["shop errors 0.5", "shop drift 500"]],
    ["perch_check_limit", ["shop errors 400", "shop ceiling 0.05", "shop orders 0.9", "shop drift 100"]],
    [
      "perch_check_info",
      ["shop errors errors 1", "shop ceiling errors 1", "shop orders prometheus 1", "shop drift drift 1"],
    ],
    ["perch_drift_verdict", ["shop -1"]],
    ["perch_rollout_notifications_total", ["delivered 0", "failed 0", "dropped 0"]],
  ])("%s", (name, wanted) => {
    expect(linesOf(name, {})).toEqual(wanted);
  });

  test.each([
    ["pass", 1],
    ["not-enough-data", 0],
    ["fail", -1],
  ])("drift's verdict %s is %d", (verdict, value) => {
    const all = () => [{ ...shop, checks: [{ ...check, metric: "drift", verdict }] }];
    expect(linesOf("perch_drift_verdict", { all })).toEqual([`shop ${value}`]);
  });

  test("drift that is off has no verdict", () => {
    expect(linesOf("perch_drift_verdict", { all: () => [{ ...shop, checks: [check] }] })).toEqual([]);
  });

  test("rollbacks begin at 0 for each reason, and those of a rollout that is gone stay counted", () => {
    const rollbacks = () => [
      { release: "shop", reason: "errors", count: 2 },
      { release: "gone", reason: "operator", count: 1 },
    ];
    expect(linesOf("perch_rollbacks_total", { rollbacks }).toSorted()).toEqual([
      "gone operator 1",
      "shop cap 0",
      "shop catastrophe 0",
      "shop configuration 0",
      "shop drift 0",
      "shop errors 2",
      "shop operator 0",
      "shop prometheus 0",
      "shop slow 0",
    ]);
  });

  test("the state counts as saved until a rollout says why not", () => {
    const name = "perch_state_last_save_successful";
    expect(linesOf(name, {})).toEqual(["1"]);
    const unsaved = { ...shop, release: "news", stateProblem: "the disk is full" };
    expect(linesOf(name, { all: () => [shop, unsaved] })).toEqual(["0"]);
  });

  test("a rollout that was refused is told from one that runs", () => {
    const configured = () => [
      { release: "shop", runs: true },
      { release: "news", runs: false },
    ];
    expect(linesOf("perch_rollout_runs", { configured })).toEqual(["shop 1", "news 0"]);
  });

  test("are declared without rollouts, and have no series", () => {
    const metrics = rolloutMetrics(undefined);
    expect(metrics.map(({ name }) => name)).toEqual(rolloutMetrics({} as RolloutsSource).map(({ name }) => name));
    expect(metrics.flatMap(({ samples }) => [...samples()])).toEqual([]);
  });
});
