import { describe, expect, it } from "vitest";
import {
  type CohortPlan,
  cohortsOf,
  isTooLarge,
  movesApart,
  peopleOf,
  type ReleasePlan,
  sharesOf,
} from "../../src/dashboard/pages/plan/plan-shape.ts";

const none = { moved: 0, moves: [] };
const tenth = { moved: 0.1, moves: [{ from: "stable", to: "canary", share: 0.1 }] };
const cohort: CohortPlan = {
  rule: null,
  services: [],
  before: { stable: 1 },
  after: { stable: 0.9, canary: 0.1 },
  byDraw: tenth,
  pinned: tenth,
};
const plan: ReleasePlan = {
  release: "shop",
  change: "changed",
  whenWeightsChange: "follow",
  notes: [],
  cohorts: [cohort],
};

describe("a release's plan", () => {
  it("shows the users without a rule and those who move, and names the rest", () => {
    const still = { ...cohort, byDraw: none, pinned: none };
    const cohorts = [
      still,
      { ...cohort, rule: "a" },
      { ...still, rule: "b" },
      { ...still, rule: "b", services: ["x"] },
    ];
    const { shown, unmoved } = cohortsOf({ ...plan, cohorts });
    expect(shown.map(({ rule }) => rule)).toEqual([null, "a"]);
    expect(unmoved).toEqual(["b"]);
  });

  it("has a share of nothing for a version of one side only", () => {
    expect(sharesOf(cohort)).toEqual([
      { version: "canary", before: 0, after: 0.1 },
      { version: "stable", before: 1, after: 0.9 },
    ]);
  });

  it("tells pinned users apart where they move otherwise, and wherever pins are held", () => {
    expect(movesApart(cohort, plan)).toBe(false);
    expect(movesApart({ ...cohort, pinned: none }, plan)).toBe(true);
    expect(movesApart(cohort, { ...plan, whenWeightsChange: "hold" })).toBe(true);
  });

  it.each([
    ["few, to one", 0.1, 424, null, 42],
    ["many, in two digits", 0.1, 12_439, null, 1_200],
    ["unknown to rollouts", 0.1, undefined, null, undefined],
    ["nobody yet", 0.1, 0, null, undefined],
    ["of a rule, whom nobody counts", 0.1, 1_000, "a", undefined],
  ] as const)("counts people: %s", (_, share, known, rule, wanted) => {
    expect(peopleOf(share, { ...cohort, rule }, known)).toBe(wanted);
  });
});

describe("a configuration", () => {
  it("may have 1 MiB, as bytes", () => {
    expect(isTooLarge("a".repeat(1_048_576))).toBe(false);
    expect(isTooLarge("a".repeat(1_048_577))).toBe(true);
    expect(isTooLarge("é".repeat(524_289))).toBe(true);
  });
});
