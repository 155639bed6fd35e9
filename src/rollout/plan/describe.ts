import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { CheckResult, RolloutState } from "../rollout-state.ts";
import { inWords, placeOf, titleInForce, titleOf } from "./steps.ts";
import { counted, hasBegun, isStepEnded } from "./transitions.ts";

/** Where it stands, what happens next, and what the reader can do: full sentences. */
export function sentence(
  spec: RolloutSpec,
  state: RolloutState,
  checks: readonly CheckResult[],
  nowMs: number,
): string {
  switch (state.phase) {
    case "pending":
      return `Not begun: ${clause(state.why)}. ${howToBegin(spec, state)}`;
    case "progressing":
      return progressing(spec, counted(state, nowMs), checks);
    case "holding":
      return holding(spec, state, checks);
    case "paused":
      return `Paused ${where(spec, state)}: ${clause(state.why)}. ${howToResume(spec, state)}${failing(spec, checks)}`;
    case "rolling-back":
    case "rolled-back":
      return `Rolled back${hasBegun(state) ? ` ${where(spec, state)}` : ""}: ${clause(state.why)}. Nobody gets ${state.candidate}; to try again, give the rollout a new \`id\`.`;
    case "completed":
      return `Completed: everyone gets ${state.candidate}. When you remove the rollout from the configuration, set the split to ${state.candidate} in the same change, or users go back to where the split sends them. \`rollback\` still removes it.`;
    case "aborted":
      return aborted(state);
  }
}

function progressing(spec: RolloutSpec, state: RolloutState, checks: readonly CheckResult[]): string {
  const step = spec.steps[state.step];
  const restMs = step?.kind === "weight" ? step.holdMs - state.heldMs : 0;
  const time = restMs > 0 ? ` for ${inWords(restMs).replace(" ", " more ")}` : ", its hold is over";
  const of = `Step ${state.step + 1} of ${spec.steps.length}`;
  return `${of}: ${titleInForce(step, state)}${time}; ${verdicts(spec, checks)}. Then ${next(spec, state)}, unless you \`pause\` or \`rollback\`.`;
}

function holding(spec: RolloutSpec, state: RolloutState, checks: readonly CheckResult[]): string {
  if (!hasBegun(state))
    return `Started, but ${clause(state.why)}. It begins automatically once the gates are open; \`step\` does not wait for them.`;
  const step = spec.steps[state.step];
  const of = `Step ${state.step + 1} of ${spec.steps.length}: ${titleInForce(step, state)}`;
  const rest = `It continues automatically with ${next(spec, state)}; \`step\` skips the wait, \`rollback\` removes ${state.candidate}`;
  return `${of}, and it waits: ${clause(state.why)}. ${rest}.${failing(spec, checks)}`;
}

function aborted({ id, why, takenOut }: RolloutState): string {
  const then = takenOut === true ? `Restored with the id ${id}, it continues as paused` : "Give the rollout a new `id`";
  return `Aborted: ${clause(why)}. The split applies. ${then}.`;
}

function howToBegin(spec: RolloutSpec, { release, command }: RolloutState): string {
  const start = `\`perch rollout start ${release}\``;
  const begins = `begins with ${placeOf(spec, 0)}`;
  if (command === "pause") return `\`command: run\` in the configuration, or ${start}, ${begins}.`;
  if (spec.start === "manual") return `${start} ${begins}.`;
  return `It ${begins} automatically once nothing blocks it; \`pause\` prevents that.`;
}

function howToResume(spec: RolloutSpec, state: RolloutState): string {
  const step = spec.steps[state.step];
  const endsStep = step?.kind !== "weight" || isStepEnded(state);
  const resumes = endsStep ? `continues with ${next(spec, state)}` : `continues with ${titleInForce(step, state)}`;
  const ends = endsStep ? "" : `, \`step\` with ${next(spec, state)}`;
  return `\`resume\` ${resumes}${ends}; \`rollback\` removes ${state.candidate}.`;
}

function where(spec: RolloutSpec, state: RolloutState): string {
  if (!hasBegun(state)) return "before the first step";
  return isStepEnded(state) && state.phase === "paused"
    ? `after ${placeOf(spec, state.step, state)}`
    : `at ${placeOf(spec, state.step, state)}`;
}

function next(spec: RolloutSpec, state: RolloutState): string {
  const { steps, afterLastStep } = spec;
  if (state.step + 1 < steps.length) return `step ${state.step + 2} (${titleOf(steps[state.step + 1])})`;
  const pauses = afterLastStep === "pause" && steps[state.step]?.kind === "weight" && !isStepEnded(state);
  return pauses ? "a pause (`then: pause`)" : "everyone (100 %)";
}

function verdicts(spec: RolloutSpec, checks: readonly CheckResult[]): string {
  const failed = failedOf(spec, checks);
  if (failed.length > 0) return `${named(failed)} ${failed.length === 1 ? "fails" : "fail"}`;
  const margins = spec.checks.flatMap(({ kind, name }) => (kind === "margin" ? [name] : []));
  const open = margins.filter((margin) => checks.find(({ name }) => name === margin)?.verdict !== "pass");
  const needs = open.length === 1 ? "still needs data" : "still need data";
  return open.length === 0 ? "no check fails" : `no check fails, ${named(open)} ${needs}`;
}

function failing(spec: RolloutSpec, checks: readonly CheckResult[]): string {
  const failed = failedOf(spec, checks);
  if (failed.length === 0) return "";
  return ` ${capitalised(named(failed))} ${failed.length === 1 ? "fails" : "fail"}.`;
}

function failedOf({ drift }: RolloutSpec, checks: readonly CheckResult[]): readonly string[] {
  const counts = ({ metric, verdict }: CheckResult) => verdict === "fail" && !(metric === "drift" && drift === "off");
  return checks.filter(counts).map(({ name }) => name);
}

const named = (names: readonly string[]) => `${names.length === 1 ? "check" : "checks"} ${names.join(", ")}`;

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Reasons come from people and checks, with or without a full stop. */
const clause = (why: string) => why.trim().replace(/\.+$/, "");
