import type { CrowdReport, VersionCount } from "./tally.ts";

/**
 * How many standard deviations the count of a version's users may be off: a fair split is that far off once in some
 * 16,000 runs.
 */
export const z = 4;

/** How many users a fair split may give a version, both ends included. */
export interface Bound {
  readonly version: string;
  readonly min: number;
  readonly max: number;
}

export interface Verdict {
  readonly ok: boolean;
  /** A sentence each; none where all is well. */
  readonly problems: readonly string[];
  readonly bounds: readonly Bound[];
}

/** Whether Perch kept its word: every user in their place, nobody moved, nothing failed, the split as configured. */
export function judge(report: CrowdReport): Verdict {
  const { versions, drawnUsers: drawn, flips, errors, requests, rule } = report;
  const bounds = versions.map((version) => boundOf(version, drawn));
  const problems = versions.flatMap((version, at) => skewOf(version, bounds[at], drawn));
  if (requests === 0) problems.push("not one request was made");
  if (flips > 0) problems.push(`sticky flips: ${flips}`);
  if (errors > 0) problems.push(`errors: ${errors} of ${requests} requests`);
  if (rule.elsewhere > 0) {
    problems.push(`rule ${rule.name}: ${rule.elsewhere} of ${rule.users} users not on ${rule.version}`);
  }
  return { ok: problems.length === 0, problems, bounds };
}

/** Each user is an independent draw, so a version's count is binomial: mean n·p, variance n·p·(1 - p). */
function boundOf({ version, configuredShare }: VersionCount, drawn: number): Bound {
  const mean = drawn * configuredShare;
  const deviation = Math.sqrt(mean * (1 - configuredShare));
  // Where few are expected the binomial's tail is longer than the normal's, and one user more makes up for it.
  const off = deviation === 0 ? 0 : z * deviation + 1;
  return { version, min: Math.max(0, Math.ceil(mean - off)), max: Math.min(drawn, Math.floor(mean + off)) };
}

function skewOf({ version, drawnUsers }: VersionCount, bound: Bound | undefined, drawn: number): string[] {
  if (bound === undefined || (drawnUsers >= bound.min && drawnUsers <= bound.max)) return [];
  return [`split: ${drawnUsers} of ${drawn} users on ${version}, outside ${bound.min} to ${bound.max}`];
}
