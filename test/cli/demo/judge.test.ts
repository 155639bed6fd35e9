import { describe, expect, test } from "vitest";
import { type CrowdReport, judge, type VersionCount } from "../../../src/cli/demo/tally.ts";

const stable: VersionCount = {
  version: "stable",
  number: "1.7.9",
  configuredShare: 0.75,
  drawnUsers: 668,
  requests: 3340,
  errors: 0,
  p95Ms: 1.2,
};
const canary: VersionCount = { ...stable, version: "canary", number: "1.8.0", configuredShare: 0.25, drawnUsers: 232 };
const fair: CrowdReport = {
  users: 1_000,
  drawnUsers: 900,
  requests: 5_000,
  errors: 0,
  flips: 0,
  versions: [stable, canary],
  rule: { name: "new-users-in-the-east", version: "canary", users: 100, elsewhere: 0 },
};

/** The report of 900 users, `toCanary` of them on canary, for a configured `share`. */
function drawn(toCanary: number, share = 0.25): CrowdReport {
  return {
    ...fair,
    versions: [
      { ...stable, drawnUsers: 900 - toCanary, configuredShare: 1 - share },
      { ...canary, drawnUsers: toCanary, configuredShare: share },
    ],
  };
}

describe("the judge", () => {
  // 900 draws at 0.25: mean 225, deviation 12.99. Four deviations and one more user: 173 to 277.
  test.each([
    { is: "a fair split", report: fair, problems: [] },
    { is: "the minimum on canary", report: drawn(173), problems: [] },
    { is: "the maximum on canary", report: drawn(277), problems: [] },
    {
      is: "one below the minimum",
      report: drawn(172),
      problems: [
        "split: 728 of 900 users on stable, outside 623 to 727",
        "split: 172 of 900 users on canary, outside 173 to 277",
      ],
    },
    {
      is: "one above the maximum",
      report: drawn(278),
      problems: [
        "split: 622 of 900 users on stable, outside 623 to 727",
        "split: 278 of 900 users on canary, outside 173 to 277",
      ],
    },
    { is: "no user on a canary without weight", report: drawn(0, 0), problems: [] },
    {
      is: "one user on a canary without weight",
      report: drawn(1, 0),
      problems: [
        "split: 899 of 900 users on stable, outside 900 to 900",
        "split: 1 of 900 users on canary, outside 0 to 0",
      ],
    },
    { is: "a few users for a share of one in a thousand", report: drawn(4, 0.001), problems: [] },
    { is: "a flip", report: { ...fair, flips: 1 }, problems: ["sticky flips: 1"] },
    { is: "an error", report: { ...fair, errors: 2 }, problems: ["errors: 2 of 5000 requests"] },
    {
      is: "users of the rule on another version",
      report: { ...fair, rule: { ...fair.rule, elsewhere: 3 } },
      problems: ["rule new-users-in-the-east: 3 of 100 users not on canary"],
    },
    { is: "a run without requests", report: { ...fair, requests: 0 }, problems: ["no request was made"] },
    {
      is: "everything wrong at once",
      report: { ...drawn(0), flips: 1, errors: 1, rule: { ...fair.rule, elsewhere: 1 } },
      problems: [
        "split: 900 of 900 users on stable, outside 623 to 727",
        "split: 0 of 900 users on canary, outside 173 to 277",
        "sticky flips: 1",
        "errors: 1 of 5000 requests",
        "rule new-users-in-the-east: 1 of 100 users not on canary",
      ],
    },
  ])("for $is: $problems", ({ report, problems }) => {
    const verdict = judge(report);
    expect(verdict.problems).toEqual(problems);
    expect(verdict.ok).toBe(problems.length === 0);
  });
});
