import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { LineCounts, Replay } from "../../rollout/replay/replay.ts";
import type { UserCounts } from "../../rollout/rollout-state.ts";
import type { RolloutStatus } from "../../rollout/rollouts-api.ts";
import type { JudgedCheck, Judgement } from "./judgement.ts";

/** The judgement as text for a terminal: the verdict first. `users`: who was drawn, and who of them met an error. */
export function describeJudgement(
  judgement: Judgement,
  spec: RolloutSpec,
  replay: Replay,
  users: RolloutStatus["users"],
): string {
  const { release, baseline, candidate } = judgement;
  const lines = [
    headline(judgement, replay),
    `release ${release}, rollout ${spec.id}: ${candidate} against ${baseline}`,
    "",
    ...judgement.checks.flatMap((check) => [`  ${check.name}: ${check.verdict}${after(check)}`, `    ${check.why}`]),
    "",
    cost(judgement, users),
    lineSentence(replay.counts),
  ];
  return `${lines.join("\n")}\n`;
}

function headline({ verdict, candidate, requests }: Judgement, { failed, span }: Replay): string {
  const read = `${count(requests)} requests`;
  if (verdict === "fail") {
    const at = span === undefined ? "" : `, at ${new Date(span.lastMs).toISOString()}`;
    return `FAIL: ${candidate} fails ${failed?.name} after ${read}${at}.`;
  }
  if (verdict === "pass") return `PASS: ${candidate} passes all checks after ${read}.`;
  return `NOT ENOUGH DATA: ${read} do not say whether ${candidate} is worse.`;
}

function after({ verdict, requests }: JudgedCheck): string {
  return verdict === "not-enough-data" ? "" : ` after ${count(requests)} requests`;
}

function cost({ verdict, candidate, baseline }: Judgement, users: RolloutStatus["users"]): string {
  const of = (version: string, { users: all, bad }: UserCounts) =>
    `${count(bad)} of ${count(all)} users of ${version} met an error`;
  const until = verdict === "fail" ? "Until it was found, " : "";
  return `${until}${of(candidate, users.candidate)}, ${of(baseline, users.baseline)}.`;
}

/** How the lines of the log were used, without the kinds that there were none of. */
export function lineSentence(counts: LineCounts): string {
  const kinds: readonly (readonly [number, string])[] = [
    [counts.judged, "judged"],
    [counts.placed, "placed by a rule, an override, a caller or a pin: not evaluated"],
    [counts.otherVersions, "of other versions"],
    [counts.impossible, "of a version that had no users at that time"],
    [counts.otherReleases, "of other releases"],
    [counts.other, "no requests with a release"],
    [counts.broken, "not JSON or without a time"],
  ];
  const parts = kinds.filter(([lines]) => lines > 0).map(([lines, what]) => `${count(lines)} ${what}`);
  return `${count(counts.lines)} lines read${parts.length === 0 ? "" : `: ${parts.join("; ")}`}.`;
}

export const count = (number: number): string => number.toLocaleString("en-US");
