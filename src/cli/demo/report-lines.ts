import { formatTable } from "../table.ts";
import { type Verdict, z } from "./judge.ts";
import type { CrowdReport, VersionCount } from "./tally.ts";

const heading = ["version", "configured", "observed", "users", "requests", "errors", "p95"];

/** The live table, within 80 columns. */
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

/** Only where there is something to tell: a row for what no version answered. */
function unansweredRow({ versions, requests, errors }: CrowdReport): string[][] {
  const answered = versions.reduce((sum, version) => sum + version.requests, 0);
  if (requests === answered) return [];
  const ofVersions = versions.reduce((sum, version) => sum + version.errors, 0);
  return [["no version", "", "", "", count(requests - answered), count(errors - ofVersions), ""]];
}

/** What the judge found, a line each. */
export function verdictLines({ drawnUsers: drawn }: CrowdReport, { ok, problems, bounds }: Verdict): string[] {
  if (!ok) return problems.map((problem) => `FAILED  ${problem}`);
  if (drawn === 0) return ["ok  no flip, no error; nobody was drawn by the split"];
  const shares = bounds.map(({ version, min, max }) => `${version} ${percent(min / drawn)} to ${percent(max / drawn)}`);
  return [`ok  no flip, no error, shares within chance (binomial, z = ${z}):`, `    ${shares.join(", ")}`];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
