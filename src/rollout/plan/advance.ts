import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { Move, Seen } from "../controller-parts.ts";
import { type CheckResult, isOver, type RolloutState } from "../rollout-state.ts";
import { inWords } from "./steps.ts";
import {
  byPerch,
  counted,
  endStep,
  enterStep,
  gatesOf,
  gatesWait,
  hasBegun,
  hold,
  isStepEnded,
  pause,
  rollBack,
  still,
} from "./transitions.ts";

/** Whether it begins without being asked to. */
export function startsByItself(spec: RolloutSpec, { phase, command }: RolloutState): boolean {
  return phase === "pending" && spec.start === "auto" && command === "run";
}

export const startCause = { by: byPerch, why: "the plan starts automatically (`start: auto`)" };

/** What time and evidence change: at most one transition. Without one, only the time that was counted. */
export function advance(spec: RolloutSpec, state: RolloutState, seen: Seen, nowMs: number): Move {
  if (startsByItself(spec, state)) return begin(spec, state, seen, nowMs);
  if (state.phase !== "progressing" && state.phase !== "holding") return still(state);
  if (!hasBegun(state)) return begin(spec, state, seen, nowMs);
  const now = counted(state, nowMs);
  if (!isStepEnded(now)) {
    const step = spec.steps[now.step];
    if (step?.kind !== "weight") return still(now);
    if (now.heldMs < step.holdMs)
      return now.phase === "holding" ? hold(now, "its hold was made longer", nowMs) : still(now);
    const missing = missingOf(spec, step.atLeastUsers, seen);
    if (missing !== undefined) return hold(now, missing, nowMs);
  }
  const next = now.step + 2;
  if (next <= spec.steps.length && !seen.mayBegin(next)) return hold(now, gatesSay(spec, next, seen.checks), nowMs);
  return endStep(spec, now, { by: byPerch, why: whyItEnded(spec, now) }, nowMs);
}

/** What a failing check changes. A failure pauses only once: whoever resumes has seen it. */
export function fail(spec: RolloutSpec, state: RolloutState, check: CheckResult, nowMs: number): Move {
  if (!hasBegun(state) || isOver(state)) return still(state);
  const cause = { by: byPerch, why: check.why };
  if (spec.onFail === "rollback") return rollBack(state, cause, nowMs);
  const { pausedFor = [] } = state;
  if (pausedFor.some((known) => known.check === check.name && known.atMs === check.atMs)) return still(state);
  const paused = pause(state, cause, nowMs);
  const others = pausedFor.filter((known) => known.check !== check.name);
  const known = [...others, { check: check.name, atMs: check.atMs }];
  return { ...paused, state: { ...paused.state, pausedFor: known } };
}

function begin(spec: RolloutSpec, state: RolloutState, seen: Seen, nowMs: number): Move {
  const cause = state.phase === "pending" ? startCause : { by: byPerch, why: "its gates are open" };
  if (seen.mayBegin(1)) return enterStep(spec, state, 0, cause, nowMs);
  const why = gatesSay(spec, 1, seen.checks);
  return still(state.why === why ? state : { ...state, why });
}

/** What the step still waits for, in words; undefined if nothing. */
function missingOf(spec: RolloutSpec, atLeastUsers: number, seen: Seen): string | undefined {
  const missing: string[] = [];
  if (seen.stepUsers < atLeastUsers)
    missing.push(`${seen.stepUsers} of at least ${atLeastUsers} users of the candidate have been seen`);
  for (const check of spec.checks) {
    if (check.kind !== "margin") continue;
    const result = seen.checks.find(({ name }) => name === check.name);
    if (result?.verdict !== "pass") missing.push(`check ${check.name}: ${result?.why ?? "it has no data yet"}`);
  }
  return missing.length === 0 ? undefined : missing.join("; ");
}

function gatesSay(spec: RolloutSpec, step: number, checks: readonly CheckResult[]): string {
  const names = gatesOf(spec, step);
  const waiting = checks.filter(({ name, verdict }) => names.includes(name) && verdict !== "pass");
  return gatesWait(
    spec,
    step,
    waiting.map(({ name, why }) => `${name}: ${why}`),
  );
}

function whyItEnded(spec: RolloutSpec, { step, heldMs }: RolloutState): string {
  const ended = spec.steps[step];
  const gates = gatesOf(spec, step + 2).length > 0 && step + 1 < spec.steps.length ? ", and its gates are open" : "";
  if (ended?.kind !== "weight") return `the pause of step ${step + 1} is over${gates}`;
  const users = ended.atLeastUsers > 0 ? ` and ${ended.atLeastUsers} users or more were seen` : "";
  return `step ${step + 1} was held for ${inWords(heldMs)}${users}${gates}`;
}
