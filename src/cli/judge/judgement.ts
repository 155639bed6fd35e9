import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { Replay, Replayed } from "../../rollout/replay/replay.ts";
import type { CheckResult } from "../../rollout/rollout-state.ts";
import type { RolloutStatus } from "../../rollout/rollouts-api.ts";

type Verdict = CheckResult["verdict"];

/** What `perch judge --json` prints. */
export interface Judgement {
  readonly release: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly verdict: Verdict;
  /** Lines of the release read when the verdict fell; in all if there is not enough data. */
  readonly requests: number;
  /** Users whom the rollout drew. */
  readonly users: number;
  /** The plan's in its order, then those that are built in. */
  readonly checks: readonly JudgedCheck[];
}

export interface JudgedCheck extends Omit<CheckResult, "atMs"> {
  /** The time of the line at which the verdict fell, in RFC 3339; null while there is none. */
  readonly at: string | null;
  readonly requests: number;
}

/** The plan's checks that a log can answer. */
export function replayedChecks({ checks }: RolloutSpec): RolloutSpec["checks"] {
  return checks.filter(({ kind }) => kind === "compare" || kind === "at-most" || kind === "margin");
}

/** Ends a replay whose last line was taken; `judge` is the one that it asked. */
export function judgementOf(
  release: string,
  spec: RolloutSpec,
  replay: Replay,
  judge: Pick<RolloutStatus, "users">,
): Judgement {
  const { baseline, candidate } = spec;
  const ended = replay.end();
  const { verdict, requests } = overall(spec, replay, ended);
  const users = judge.users.baseline.users + judge.users.candidate.users;
  return { release, baseline, candidate, verdict, requests, users, checks: ended.map(judgedCheck) };
}

/** A failure of a check that acts fails all; only the checks of the plan can make it pass. */
function overall(
  spec: RolloutSpec,
  { failed, requests }: Replay,
  ended: readonly Replayed[],
): Pick<Judgement, "verdict" | "requests"> {
  if (failed !== undefined) return { verdict: "fail", requests };
  const planned = ended.slice(0, replayedChecks(spec).length);
  const passes = planned.length > 0 && planned.every(({ check }) => check.verdict === "pass");
  if (!passes) return { verdict: "not-enough-data", requests };
  return { verdict: "pass", requests: Math.max(...planned.map((entry) => entry.requests)) };
}

function judgedCheck({ check, requests }: Replayed): JudgedCheck {
  const { name, metric, verdict, atMs, baseline, candidate, evidence, limit, interval, why } = check;
  const at = atMs === null || verdict === "not-enough-data" ? null : new Date(atMs).toISOString();
  return { name, metric, verdict, at, requests, baseline, candidate, evidence, limit, interval, why };
}
