import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { EventDraft, Move, Refusal } from "../controller-parts.ts";
import { isOver, type RolloutState } from "../rollout-state.ts";
import { inWords, placeOf, plannedOf, plannedTitle } from "./steps.ts";
import { byConfiguration, hasBegun, isStepEnded, pause, still, withStepBegun, withStepEnded } from "./transitions.ts";

export function isSamePlan(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

/** Why a rollout with this id cannot continue with this configuration, and what to do. */
export function refusalOf(spec: RolloutSpec, state: RolloutState): Refusal | undefined {
  const { id, baseline, candidate } = state;
  if (baseline !== spec.baseline || candidate !== spec.candidate)
    return refused(
      `rollout ${id} is one from ${baseline} to ${candidate}, and the configuration makes it one from ` +
        `${spec.baseline} to ${spec.candidate}: give the rollout a new \`id\``,
    );
  const hasUsers = state.phase === "completed" || !isOver(state) || state.takenOut === true;
  if (!hasBegun(state) || !hasUsers) return undefined;
  if (isReplacedAsAWhole(state.candidateEndpoints, spec.candidateEndpoints))
    return refused(
      `rollout ${id} began with other endpoints of its candidate ${candidate} (${state.candidateEndpoints.join(", ")}), ` +
        `and none of them is left (now ${spec.candidateEndpoints.join(", ")}): if they are a new candidate, give the ` +
        "rollout a new `id`; if not, replace them a few at a time",
    );
  const planned = new Set(spec.steps.map((step) => (step.kind === "weight" ? step.ring?.key : undefined)));
  const lost = state.rings.find(({ key }) => !planned.has(key));
  if (lost === undefined) return undefined;
  return refused(
    `rollout ${id} has reached ring ${lost.key} (${lost.weight} %), and no step has it any more: its users would go ` +
      `back to ${baseline}. Put its step back with the same \`when\`, or give the rollout a new \`id\``,
  );
}

function isReplacedAsAWhole(before: readonly string[], now: readonly string[]): boolean {
  return before.length > 0 && now.length > 0 && !before.some((endpoint) => now.includes(endpoint));
}

const refused = (message: string): Refusal => ({ kind: "refused", message });

/** Goes on with the plan as it is now, by position; pauses if the steps up to here are not the ones that were. */
export function takeOverPlan(spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  const planned = plannedOf(spec);
  if (isSamePlan(planned, state.planned)) return still(state);
  const now = { ...state, planned };
  const misfit = misfitOf(spec, state, planned);
  if (misfit === undefined) return { state: now, events: [planEdited(whatChanged(state, planned))] };
  const { state: paused, events } = pause(now, { by: byConfiguration, why: misfit.why }, nowMs);
  const isNew = state.phase !== "paused";
  return {
    state: misfit.beginsAt === undefined ? paused : withStepAgain(paused, misfit.beginsAt, nowMs),
    events: [planEdited(misfit.why), ...(isNew ? events : [])],
  };
}

const planEdited = (why: string): EventDraft => ({ type: "plan-edited", by: byConfiguration, why });

interface Misfit {
  readonly why: string;
  /** The step whose time starts over; undefined: it continues. */
  readonly beginsAt: number | undefined;
}

function misfitOf(spec: RolloutSpec, { step, planned: before }: RolloutState, planned: readonly string[]) {
  const last = planned.length - 1;
  const current = planned[step];
  if (current === undefined) {
    const why = `the plan was cut to ${planned.length} steps while step ${step + 1} ran: ${placeOf(spec, last)} is the current one now`;
    return { why, beginsAt: last } satisfies Misfit;
  }
  const was = plannedTitle(before[step] ?? "nothing");
  if (plannedTitle(current) !== was) {
    const why = `the current step was edited: step ${step + 1} was ${was}, and is ${plannedTitle(current)} now`;
    return { why, beginsAt: step } satisfies Misfit;
  }
  const behind = planned.findIndex((text, index) => index < step && text !== before[index]);
  if (behind < 0) return undefined;
  const why = `the plan was edited behind the current step: step ${behind + 1} was ${before[behind] ?? "nothing"}, and is ${planned[behind]} now`;
  return { why, beginsAt: undefined } satisfies Misfit;
}

function whatChanged({ step, planned: before, heldMs }: RolloutState, planned: readonly string[]): string {
  if (planned[step] === before[step]) return "steps after the current one were edited";
  return `the current step was edited, of which ${inWords(heldMs)} are over: it was ${before[step]}, and is ${planned[step]} now`;
}

function withStepAgain(state: RolloutState, step: number, nowMs: number): RolloutState {
  const ended = isStepEnded(state) ? state : withStepEnded(state, nowMs);
  return withStepBegun({ ...ended, step }, nowMs);
}
