import type { RolloutSpec, StepSpec } from "../../decide/rollout-spec.ts";
import type { Cause, EventDraft, Move } from "../controller-parts.ts";
import type { RolloutEvent, RolloutState } from "../rollout-state.ts";
import { placeOf, plannedOf, titleOf } from "./steps.ts";

/** Looks are a second apart. What lies between two looks this far apart was not watched: it counts nothing. */
const maxGapMs = 60_000;

export const byPerch = "perch";
export const byConfiguration = "configuration";

export const still = (state: RolloutState): Move => ({ state, events: [] });

export const hasBegun = ({ step }: RolloutState): boolean => step >= 0;

/** Whether only the gates of the next step, or a person, keep it at its step. */
export function isStepEnded({ track }: RolloutState): boolean {
  return track.at(-1)?.endedAtMs !== undefined;
}

/** Whether a gate must let this step (from 1) begin. */
export function hasGate({ checks, steps }: RolloutSpec, step: number): boolean {
  return step <= steps.length && gatesOf({ checks }, step).length > 0;
}

/** The names of the gates before this step (from 1). */
export function gatesOf({ checks }: Pick<RolloutSpec, "checks">, step: number): readonly string[] {
  return checks.flatMap((check) =>
    check.kind === "webhook" && (check.beforeStep ?? step) === step ? [check.name] : [],
  );
}

/**
 * With the time since the last look. A clock that was set back counts nothing for this look, and neither does a gap of
 * over a minute (a process that was suspended, a clock that was set forward): a hold is never cut short by them.
 */
export function counted(state: RolloutState, nowMs: number): RolloutState {
  const isCounting = (state.phase === "progressing" || state.phase === "holding") && hasBegun(state);
  const gapMs = nowMs - state.countedAtMs;
  if (!isCounting || isStepEnded(state) || gapMs === 0) return state;
  const watchedMs = gapMs > 0 && gapMs <= maxGapMs ? gapMs : 0;
  return { ...state, heldMs: state.heldMs + watchedMs, countedAtMs: nowMs };
}

/** Begins the step, from 0. */
export function enterStep(spec: RolloutSpec, state: RolloutState, step: number, cause: Cause, nowMs: number): Move {
  const begun = spec.steps[step];
  if (begun === undefined) return complete(state, cause, nowMs);
  const pauses = begun.kind === "pause";
  const isFirst = state.startedAtMs === undefined;
  const entered: RolloutState = {
    ...raised(withStepEnded(state, nowMs), begun),
    phase: pauses ? "paused" : "progressing",
    why: pauses ? "the plan pauses here" : cause.why,
    sinceMs: nowMs,
    step,
    heldMs: 0,
    countedAtMs: nowMs,
    planned: plannedOf(spec),
    startedAtMs: state.startedAtMs ?? nowMs,
  };
  const why = `${placeOf(spec, step)} begins${cause.why === "" ? "" : `: ${cause.why}`}`;
  const events: EventDraft[] = isFirst ? [{ type: "started", by: cause.by, why }] : [];
  if (pauses) events.push({ type: "paused", by: cause.by, why: `${placeOf(spec, step)}: the plan pauses here` });
  else if (!isFirst) events.push({ type: "step", by: cause.by, why });
  return { state: withStepBegun(entered, nowMs), events };
}

/** Goes on with the next step, or with what the plan says after the last. Does not ask its gates. */
export function endStep(spec: RolloutSpec, state: RolloutState, cause: Cause, nowMs: number): Move {
  const next = state.step + 1;
  if (next < spec.steps.length) return enterStep(spec, counted(state, nowMs), next, cause, nowMs);
  const waitsAtTheEnd =
    spec.afterLastStep === "pause" && !isStepEnded(state) && spec.steps[state.step]?.kind !== "pause";
  if (!waitsAtTheEnd) return complete(state, cause, nowMs);
  const why = "the last step is over, and the plan pauses after it (`then: pause`)";
  return moved(withStepEnded(state, nowMs), "paused", "paused", { by: cause.by, why }, nowMs);
}

/** Begins the next step at once, or holds until its gates have answered. */
export function passStep(spec: RolloutSpec, state: RolloutState, cause: Cause, nowMs: number): Move {
  if (!hasGate(spec, state.step + 2)) return endStep(spec, state, cause, nowMs);
  const ended = isStepEnded(state) || !hasBegun(state) ? state : withStepEnded(state, nowMs);
  const type = hasBegun(state) ? "resumed" : "holding";
  const held = moved(ended, "holding", type, cause, nowMs);
  return { ...held, state: { ...held.state, why: gatesWait(spec, state.step + 2) } };
}

/** Holds at the step. If only the reason changes, there is no event. */
export function hold(state: RolloutState, why: string, nowMs: number): Move {
  if (state.phase !== "holding") return moved(state, "holding", "holding", { by: byPerch, why }, nowMs);
  return still(state.why === why ? state : { ...state, why });
}

export function pause(state: RolloutState, cause: Cause, nowMs: number): Move {
  return moved(counted(state, nowMs), "paused", "paused", cause, nowMs);
}

/** Everyone gets the candidate. */
export function complete(state: RolloutState, cause: Cause, nowMs: number): Move {
  const all = { ...withStepEnded(state, nowMs), weight: 100, rings: [], startedAtMs: state.startedAtMs ?? nowMs };
  return moved(all, "completed", "completed", cause, nowMs);
}

/** Nobody gets the candidate. */
export function rollBack(state: RolloutState, cause: Cause, nowMs: number): Move {
  const nobody = { ...withStepEnded(state, nowMs), weight: 0, rings: [] };
  return moved(nobody, "rolled-back", "rolled-back", cause, nowMs);
}

/** The split holds again. What it had reached is kept. */
export function abort(state: RolloutState, cause: Cause, nowMs: number): Move {
  return moved(counted(state, nowMs), "aborted", "aborted", cause, nowMs);
}

/** Into the phase, with one event of this type. */
export function moved(
  state: RolloutState,
  phase: RolloutState["phase"],
  type: RolloutEvent["type"],
  { by, why }: Cause,
  nowMs: number,
): Move {
  const sinceMs = state.phase === phase ? state.sinceMs : nowMs;
  return { state: { ...state, phase, why, sinceMs, countedAtMs: nowMs }, events: [{ type, by, why }] };
}

/** With at least the step's weight: a step never moves users back to the baseline. */
export function raised(state: RolloutState, step: StepSpec): RolloutState {
  if (step.kind === "pause") return state;
  const { ring, weight } = step;
  if (ring === undefined) return { ...state, weight: Math.max(state.weight, weight) };
  const had = state.rings.find(({ key }) => key === ring.key);
  if (had === undefined) return { ...state, rings: [...state.rings, { key: ring.key, weight }] };
  const higher = { key: ring.key, weight: Math.max(had.weight, weight) };
  return { ...state, rings: state.rings.map((each) => (each === had ? higher : each)) };
}

/** The step's time from zero. */
export function withStepBegun(state: RolloutState, nowMs: number): RolloutState {
  const record = { step: state.step, startedAtMs: nowMs, endedAtMs: undefined, heldMs: 0 };
  return { ...state, heldMs: 0, countedAtMs: nowMs, track: [...state.track, record] };
}

export function withStepEnded(state: RolloutState, nowMs: number): RolloutState {
  const last = state.track.at(-1);
  if (last === undefined || isStepEnded(state)) return state;
  const now = counted(state, nowMs);
  return { ...now, track: [...now.track.slice(0, -1), { ...last, endedAtMs: nowMs, heldMs: now.heldMs }] };
}

export function gatesWait(spec: RolloutSpec, step: number, whys: readonly string[] = []): string {
  const gates = gatesOf(spec, step);
  const names = `${gates.length === 1 ? "gate" : "gates"} ${gates.join(", ")}`;
  const said = whys.length === 0 ? "" : ` (${whys.join("; ")})`;
  return `step ${step} (${titleOf(spec.steps[step - 1])}) waits for ${names}${said}`;
}
