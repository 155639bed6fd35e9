import { type Verdict, z } from "./judge.ts";
import type { CrowdReport } from "./tally.ts";

/** What `--once --json` prints. Shares are 0 to 1; null stands for what nobody has seen. */
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
    /** How wide the bounds below are, in standard deviations of a binomial count. */
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
