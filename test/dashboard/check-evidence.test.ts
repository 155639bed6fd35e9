import { describe, expect, test } from "vitest";
import { comparisonOf, powerOfTen, progressOf } from "../../src/dashboard/pages/release/check-evidence.ts";
import { check } from "./rollout-fixture.ts";

const compared = check("errors", {
  baseline: { users: 900, bad: 13 },
  candidate: { users: 100, bad: 37 },
  evidence: 3.2e12,
  limit: 200,
});

describe("what a comparison says", () => {
  test("counts bad users of both versions, and how seldom that happens by chance", () => {
    expect(comparisonOf(compared)).toEqual({ bad: 50, badOnCandidate: 37, oneIn: 3.2e12 });
  });

  test("says nothing of chance where the evidence says little", () => {
    expect(comparisonOf({ ...compared, evidence: 1.4 })?.oneIn).toBeUndefined();
  });

  test.each([
    ["a share with its interval", { ...compared, evidence: null, interval: [0.1, 0.2] as const }],
    ["a cap", check("caps.users", { metric: "cap", evidence: 3, limit: 10 })],
    ["nobody met a bad answer", { ...compared, baseline: { users: 9, bad: 0 }, candidate: { users: 1, bad: 0 } }],
  ])("is left out: %s", (_what, other) => {
    expect(comparisonOf(other)).toBeUndefined();
  });
});

describe("how far the evidence is on its way to the limit", () => {
  test.each([
    ["1 says nothing", { ...compared, evidence: 1 }, 0],
    ["less than 1 neither", { ...compared, evidence: 0.2 }, 0],
    ["half of the way by factors", { ...compared, evidence: 10, limit: 100 }, 0.5],
    ["beyond the limit", compared, 1],
    ["a cap, by its count", check("caps.users", { metric: "cap", evidence: 25, limit: 100 }), 0.25],
    ["a query has no way", check("rps", { metric: "prometheus", evidence: 25, limit: 100 }), undefined],
    ["no evidence", check("gate", { metric: "webhook" }), undefined],
  ])("%s", (_what, of, share) => {
    const progress = progressOf(of);
    if (share === undefined) expect(progress).toBeUndefined();
    else expect(progress).toBeCloseTo(share);
  });
});

test("powers of ten are reached, never rounded up to", () => {
  expect(powerOfTen(1e12)).toBe("10¹²");
  expect(powerOfTen(9.9e8)).toBe("10⁸");
  expect(powerOfTen(1_000)).toBe("10³");
});
