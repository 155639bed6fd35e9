import { rolloutBody } from "../../admin/rollout-body.ts";
import type { RolloutStatus } from "../../rollout/rollouts-api.ts";
import { formatTable } from "../command.ts";
import { fittingLines, statusLines } from "../rollout/status-lines.ts";
import { count, percent } from "./report.ts";
import type { RolloutTally } from "./rollout-tally.ts";
import type { CrowdReport } from "./tally.ts";

/**
 * The versions as users see them, then where the rollout stands and why; at most 80 columns wide. Details are left out
 * to stay within `maxLines`. Default: unlimited.
 */
export function rolloutLines(
  report: CrowdReport,
  status: RolloutStatus,
  tally: RolloutTally,
  maxLines = Number.POSITIVE_INFINITY,
): string[] {
  const heading = ["version", "weight", "requests", "errors", "p95"];
  const rows = report.versions.map(({ version, number, requests, errors, p95Ms }) => [
    `${version} ${number}`,
    percent(weightOf(version, status) / 100),
    count(requests),
    count(errors),
    p95Ms === null ? "-" : `${p95Ms.toFixed(1)} ms`,
  ]);
  const right = Array.from({ length: heading.length - 1 }, () => "right" as const);
  const body = rolloutBody(status);
  return fittingLines(maxLines, (detail) => [
    ...formatTable([heading, ...rows], ["left", ...right]),
    "",
    ...statusLines(body, detail),
    "",
    `users who met an error, those of the rule too: ${count(tally.badUsers)}; who went back to stable: ${count(tally.movedBack)}`,
    ...(status.phase === "rolled-back" ? [`requests that met the canary since: ${count(tally.afterRollback)}`] : []),
  ]);
}

function weightOf(version: string, { candidate, phase, weight }: RolloutStatus): number {
  const ofCandidate = phase === "rolled-back" || phase === "aborted" ? 0 : weight;
  return version === candidate ? ofCandidate : 100 - ofCandidate;
}
