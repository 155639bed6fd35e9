import { formatTable } from "../command.ts";
import type { DemoSplit, Stage } from "./stage.ts";
import { type CrowdReport, type Verdict, type VersionCount, z } from "./tally.ts";

const heading = ["version", "configured", "observed", "users", "requests", "errors", "p95"];

/** The table of versions and the notes below it, at most 80 columns wide. */
export function reportLines(report: CrowdReport): string[] {
  const { versions, drawnUsers: drawn, rule, flips } = report;
  const rows = [heading, ...versions.map((version) => versionRow(version, drawn)), ...unansweredRow(report)];
  const table = formatTable(rows, ["left", ...Array.from({ length: heading.length - 1 }, () => "right" as const)]);
  const where = rule.elsewhere === 0 ? `all on ${rule.version}` : `${count(rule.elsewhere)} NOT on ${rule.version}`;
  const notes = formatTable([
    [`rule ${rule.name}`, `${count(rule.users)} more ${rule.users === 1 ? "user" : "users"}, ${where}`],
    ["sticky flips", count(flips)],
  ]);
  return [...table, "", ...notes];
}

function versionRow(version: VersionCount, drawn: number): string[] {
  const { configuredShare, p95Ms } = version;
  return [
    `${version.version} ${version.number}`,
    percent(configuredShare),
    drawn === 0 ? "-" : percent(version.drawnUsers / drawn),
    count(version.drawnUsers),
    count(version.requests),
    count(version.errors),
    p95Ms === null ? "-" : `${p95Ms.toFixed(1)} ms`,
  ];
}

/** A row for requests that no version answered, if there are any. */
function unansweredRow({ versions, requests, errors }: CrowdReport): string[][] {
  const answered = versions.reduce((sum, version) => sum + version.requests, 0);
  if (requests === answered) return [];
  const ofVersions = versions.reduce((sum, version) => sum + version.errors, 0);
  return [["no version", "", "", "", count(requests - answered), count(errors - ofVersions), ""]];
}

export function verdictLines({ drawnUsers: drawn }: CrowdReport, { ok, problems, bounds }: Verdict): string[] {
  if (!ok) return problems.map((problem) => `FAILED  ${problem}`);
  if (drawn === 0) return ["ok  no flips, no errors; no user was drawn by the split"];
  const shares = bounds.map(({ version, min, max }) => `${version} ${percent(min / drawn)} to ${percent(max / drawn)}`);
  return [
    `ok  no flips, no errors, shares within the statistical bound (binomial, z = ${z}):`,
    `    ${shares.join(", ")}`,
  ];
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** What `--once --json` prints. Shares are 0 to 1; null means that there was no sample. */
export function onceResult(report: CrowdReport, verdict: Verdict, tookMs: number) {
  const { users, drawnUsers, requests, errors, flips, versions, rule } = report;
  const { ok, problems, bounds } = verdict;
  return {
    ok,
    problems,
    tookMs: Math.round(tookMs),
    users,
    drawnUsers,
    requests,
    errors,
    flips,
    /** The width of the bounds below, in standard deviations of a binomial count. */
    z,
    versions: versions.map(({ version, number, configuredShare, ...counts }, at) => ({
      version,
      number,
      configuredShare,
      observedShare: drawnUsers === 0 ? null : counts.drawnUsers / drawnUsers,
      drawnUsers: counts.drawnUsers,
      drawnUsersBound: { min: bounds[at]?.min, max: bounds[at]?.max },
      requests: counts.requests,
      errors: counts.errors,
      p95Ms: counts.p95Ms,
    })),
    rule,
  };
}

/** `fixed`: undefined if the canary is rolled out. */
export function introduction({ proxyOrigin, adminOrigin, adminToken }: Stage, fixed: DemoSplit | undefined): string {
  const split =
    fixed === undefined ? "by the step of the rollout" : `stable ${fixed.stable} %, canary ${fixed.canary} %`;
  return `Perch in front of two versions of a shop, with a small crowd of simulated users.

  proxy      ${proxyOrigin}
  dashboard  ${adminOrigin}
             to pause, promote or roll back there, sign in with
             ${adminToken}
  metrics    ${adminOrigin}/metrics

Users in cn-east registered after 2026-01-01 go to canary. All others are split,
${split}, and stay on their version.

Try it from another terminal:

  curl -i ${proxyOrigin}
    A new user each time, as no cookie is sent back: ${split}.

  curl -i -H 'x-user-region: cn-east' ${proxyOrigin}
    The same: the region alone does not satisfy the rule.

  curl -i -H 'x-user-region: cn-east' \\
       -H 'x-user-registered-at: 2026-03-01' ${proxyOrigin}
    Always canary 1.8.0: the rule matches.

`;
}
