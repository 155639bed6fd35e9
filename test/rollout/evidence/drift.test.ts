import { describe, expect, it } from "vitest";
import { Drift } from "../../../src/rollout/evidence/drift.ts";
import { seededNumbers, wordsOf } from "../../kit/simulated-plane.ts";

const newDrift = () => new Drift("canary", { acts: true, limit: 100 }, undefined);

/** Users that come twice each; `share`s are the candidate's, where 10 % are said to be drawn. */
function watched(users: number, share: { first: number; returned: number }, seed = 1): Drift {
  const drift = newDrift();
  const random = seededNumbers(seed);
  for (let user = 0; user < users; user++) {
    for (const seen of ["first", "returned"] as const) {
      const side = random() < share[seen] ? "candidate" : "baseline";
      drift.take({ ...wordsOf(user), side, odds: 0.1, seen, bad: 0, goodBefore: 0 });
    }
  }
  return drift;
}

describe("Drift", () => {
  it.each([
    ["passes what is drawn as said", 20_000, { first: 0.1, returned: 0.1 }, "pass"],
    ["finds too many new users on the candidate", 5_000, { first: 0.14, returned: 0.1 }, "fail"],
    ["finds too few new users on the candidate", 5_000, { first: 0.07, returned: 0.1 }, "fail"],
    ["finds a candidate that loses its users", 5_000, { first: 0.1, returned: 0.05 }, "fail"],
    ["waits for users", 150, { first: 0.1, returned: 0.1 }, "not-enough-data"],
  ])("%s", (_, users, share, verdict) => {
    expect(watched(users, share).verdict()).toBe(verdict);
  });

  it("is wrong in less than one of a hundred rollouts", () => {
    const verdicts = Array.from({ length: 100 }, (_, at) =>
      watched(2_000, { first: 0.1, returned: 0.1 }, 7_919 * at).verdict(),
    );
    expect(verdicts.filter((verdict) => verdict === "fail").length).toBeLessThanOrEqual(2);
  });

  it("counts a unit once as new and once as returning, however many planes tell of it", () => {
    const drift = newDrift();
    for (let user = 0; user < 100; user++) {
      for (const seen of ["first", "first", "first", "returned", "known"] as const) {
        drift.take({ ...wordsOf(user), side: "candidate", odds: 0.99, seen, bad: 0, goodBefore: 0 });
      }
    }
    expect(drift.finding("not-enough-data").why).toBe(
      "100 of 100 new users were on canary (100 %, 99 % were due), 100 of 100 users who came again were on canary " +
        "(100 %, 99 % were due): it waits for 100 more new users (evidence 0.54, it fails at 100)",
    );
  });
});
