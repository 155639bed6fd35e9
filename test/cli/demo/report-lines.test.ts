import { describe, expect, test } from "vitest";
import { reportLines, verdictLines } from "../../../src/cli/demo/report.ts";
import { type CrowdReport, judge, type VersionCount } from "../../../src/cli/demo/tally.ts";

const stable: VersionCount = {
  version: "stable",
  number: "1.7.9",
  configuredShare: 0.75,
  drawnUsers: 675_123,
  requests: 13_500_000,
  errors: 0,
  p95Ms: 1.234,
};
const canary: VersionCount = {
  ...stable,
  version: "canary",
  number: "1.8.0",
  configuredShare: 0.25,
  drawnUsers: 224_877,
};
const report: CrowdReport = {
  users: 1_000_000,
  drawnUsers: 900_000,
  requests: 27_000_000,
  errors: 0,
  flips: 0,
  versions: [stable, canary],
  rule: { name: "new-users-in-the-east", version: "canary", users: 100_000, elsewhere: 0 },
};

describe("the table", () => {
  test("is aligned in columns", () => {
    expect(reportLines(report)).toEqual([
      "version       configured  observed    users    requests  errors     p95",
      "stable 1.7.9      75.0 %    75.0 %  675,123  13,500,000       0  1.2 ms",
      "canary 1.8.0      25.0 %    25.0 %  224,877  13,500,000       0  1.2 ms",
      "",
      "rule new-users-in-the-east  100,000 more users, all on canary",
      "sticky flips                0",
    ]);
  });

  test("shows values without samples as unknown", () => {
    const unseen = { drawnUsers: 0, requests: 0, p95Ms: null };
    const versions = [
      { ...stable, ...unseen },
      { ...canary, ...unseen },
    ];
    const lines = reportLines({ ...report, drawnUsers: 0, requests: 0, versions });
    expect(lines[1]).toBe("stable 1.7.9      75.0 %         -      0         0       0    -");
  });

  test("has a row for requests that no version answered, if there are any", () => {
    const lines = reportLines({ ...report, requests: report.requests + 3, errors: 3 });
    expect(lines[3]).toMatch(/^no version +3 +3$/);
  });

  test("shows how many users of the rule got another version", () => {
    const lines = reportLines({ ...report, rule: { ...report.rule, elsewhere: 2 } });
    expect(lines).toContain("rule new-users-in-the-east  100,000 more users, 2 NOT on canary");
  });

  test("uses the singular for one user", () => {
    const lines = reportLines({ ...report, rule: { ...report.rule, users: 1 } });
    expect(lines).toContain("rule new-users-in-the-east  1 more user, all on canary");
  });
});

describe("the verdict", () => {
  test("shows the bound if there is no problem", () => {
    expect(verdictLines(report, judge(report))).toEqual([
      "ok  no flips, no errors, shares within the statistical bound (binomial, z = 4):",
      "    stable 74.8 % to 75.2 %, canary 24.8 % to 25.2 %",
    ]);
  });

  test("shows no shares without drawn users", () => {
    const undrawn = { drawnUsers: 0, versions: [stable, canary].map((version) => ({ ...version, drawnUsers: 0 })) };
    const unsplit = { ...report, ...undrawn };
    expect(verdictLines(unsplit, judge(unsplit))).toEqual(["ok  no flips, no errors; no user was drawn by the split"]);
  });

  test("lists every problem otherwise", () => {
    const broken = { ...report, flips: 1, errors: 2 };
    expect(verdictLines(broken, judge(broken))).toEqual([
      "FAILED  sticky flips: 1",
      "FAILED  errors: 2 of 27000000 requests",
    ]);
  });
});
