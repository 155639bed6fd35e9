import { describe, expect, test } from "vitest";
import { rolloutLines } from "../../../src/cli/demo/rollout-lines.ts";
import { RolloutTally } from "../../../src/cli/demo/rollout-tally.ts";
import { type CrowdReport, Tally } from "../../../src/cli/demo/tally.ts";
import type { CheckResult } from "../../../src/rollout/rollout-state.ts";
import type { RolloutStatus } from "../../../src/rollout/rollouts-api.ts";

const report: CrowdReport = new Tally({ stable: 100, canary: 0 }).report();

const check = (name: string, changes: Partial<CheckResult>): CheckResult => ({
  name,
  metric: "errors",
  verdict: "not-enough-data",
  atMs: 0,
  baseline: null,
  candidate: null,
  evidence: 1,
  limit: 200,
  interval: null,
  why: "",
  ...changes,
});

const why =
  "5 of the 5 users who met an error were on canary, which has 25 % of users: the evidence is 228, and it fails at 200";
const counts = { users: 93, bad: 0 };
const answers = { good: 1_163, failed: 0 };

/** As the demo shows it after the canary failed. */
const rolledBack: RolloutStatus = {
  release: "shop",
  id: "1.8.0",
  baseline: "stable",
  candidate: "canary",
  phase: "rolled-back",
  why,
  sinceMs: Date.parse("2026-11-30T10:00:00Z"),
  revision: 3,
  sentence: `Rolled back at step 2 of 3 (25 %): ${why}. Nobody gets canary; to try again, give the rollout a new \`id\`.`,
  step: 2,
  steps: [
    { title: "5 %", state: "done", weight: 5, holdMs: 10_000, heldMs: 10_000, atLeastUsers: 0 },
    { title: "25 %", state: "current", weight: 25, holdMs: 15_000, heldMs: 5_000, atLeastUsers: 0 },
    { title: "50 %", state: "next", weight: 50, holdMs: 15_000, heldMs: 0, atLeastUsers: 0 },
  ],
  weight: 25,
  checks: [
    check("errors", { verdict: "fail", evidence: 228, why }),
    check("slow", { metric: "slow", why: "no user met an answer slower than 500 ms yet" }),
    check("drift", { metric: "drift", why: "7 of 100 new users were on canary (7 %, 10.4 % were due)" }),
  ],
  users: { baseline: counts, candidate: { users: 16, bad: 5 } },
  stepUsers: { baseline: 60, candidate: 15 },
  placed: { baseline: answers, candidate: answers },
  drawn: { baseline: answers, candidate: answers },
  startedAtMs: 0,
  stateProblem: null,
};

describe("the frame of the demo's rollout", () => {
  const lines = (maxLines?: number) => rolloutLines(report, rolledBack, new RolloutTally(), maxLines);
  const explained = expect.stringContaining("no user met an answer slower");
  const usersTable = expect.stringMatching(/^ {2}version +users +bad/);
  const steps = expect.stringMatching(/^ {2}\[>\] +25 %/);
  const verdict = expect.stringMatching(/^ {2}errors +fail/);
  const last = "requests that met the canary since: 0";

  test("shows everything where there is room", () => {
    expect(lines()).toEqual(expect.arrayContaining([explained, usersTable, steps, verdict, last]));
  });

  test("first leaves out the explanations of the checks", () => {
    const shown = lines(lines().length - 1);
    expect(shown).not.toContainEqual(explained);
    expect(shown).toEqual(expect.arrayContaining([usersTable, steps, verdict, last]));
  });

  test("fits a window of 24 rows, with the line below it and the demo's two lines on how to stop", () => {
    const shown = lines(24 - 1 - 2);
    expect(shown.length).toBeLessThanOrEqual(21);
    expect(shown).toEqual(
      expect.arrayContaining([expect.stringContaining("Rolled back at step 2"), steps, verdict, last]),
    );
    expect(shown).toContain("");
  });

  test("leaves out blank lines in a lower window", () => {
    expect(lines(18)).not.toContain("");
  });
});
