import type { ReleaseSpec } from "../../decide/release-spec.ts";
import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { Cause, EventDraft, Move, Reconciled } from "../controller-parts.ts";
import { isOver, type RolloutState } from "../rollout-state.ts";
import type { Verb } from "../rollouts-api.ts";
import { startCause, startsByItself } from "./advance.ts";
import { isSamePlan, refusalOf, takeOverPlan } from "./plan-edit.ts";
import {
  abort,
  byConfiguration,
  enterStep,
  gatesWait,
  hasBegun,
  hasGate,
  moved,
  rollBack,
  still,
} from "./transitions.ts";
import { apply } from "./verbs.ts";

const configured = (why: string): Cause => ({ by: byConfiguration, why });

/** What the rollout of a release is with this configuration; `known` are its states so far, the newest first. */
export function reconcile(
  release: Pick<ReleaseSpec, "name" | "rollout">,
  known: readonly RolloutState[],
  nowMs: number,
): Reconciled {
  const spec = release.rollout;
  const [newest] = known;
  if (spec === undefined) {
    if (newest === undefined || !hasBegun(newest) || newest.takenOut === true) return { kind: "none" };
    if (newest.phase === "completed") return completedTakenOut(newest);
    return isOver(newest) ? { kind: "none" } : takenOut(newest, nowMs);
  }
  const state = known.find(({ id }) => id === spec.id);
  const replaced = newest !== state && newest?.takenOut !== true ? newest : undefined;
  if (state === undefined) return replacing(replaced, spec, begun(release.name, spec, nowMs));
  const refusal = refusalOf(spec, state);
  if (refusal !== undefined) return refusal;
  if (newest !== state) return replacing(replaced, spec, putBackLate(release.name, spec, state, nowMs));
  return { kind: "moved", ...goneOn(spec, state, nowMs) };
}

function takenOut(state: RolloutState, nowMs: number): Reconciled {
  const cause = configured("the rollout was removed from the configuration");
  const { state: aborted, events } = abort(state, cause, nowMs);
  return { kind: "moved", state: { ...aborted, takenOut: true }, events };
}

/** Everyone had the candidate, and may lose it: that must not happen unsaid. */
function completedTakenOut(state: RolloutState): Reconciled {
  const why =
    `the completed rollout ${state.id} was removed from the configuration: the split applies ` +
    `again, also to ${state.candidate}`;
  return { kind: "moved", state: { ...state, takenOut: true }, events: [{ type: "plan-edited", ...configured(why) }] };
}

/** With an event for the end of the rollout that was there until now. */
function replacing(replaced: RolloutState | undefined, spec: RolloutSpec, move: Move): Reconciled {
  if (replaced === undefined || !hasBegun(replaced)) return { kind: "moved", ...move };
  if (replaced.phase === "completed") {
    const why =
      `rollout ${spec.id} takes the place of the completed rollout ${replaced.id}: it begins with everyone on ` +
      `${spec.baseline}, not on ${replaced.candidate}`;
    return {
      kind: "moved",
      state: { ...move.state },
      events: [{ type: "plan-edited", ...configured(why) }, ...move.events],
    };
  }
  if (isOver(replaced)) return { kind: "moved", ...move };
  const candidate = replaced.candidate === spec.candidate ? "" : `, whose candidate was ${replaced.candidate},`;
  const why = `rollout ${replaced.id}${candidate} ended at step ${replaced.step + 1}: rollout ${spec.id} takes its place`;
  // A copy, so that it is stored as the newest even if nothing else changed.
  return { kind: "moved", state: { ...move.state }, events: [{ type: "aborted", ...configured(why) }, ...move.events] };
}

/** An id that another rollout has replaced: a finished rollout stays as it is, an unfinished one is aborted. */
function putBackLate(release: string, spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  const { takenOut: wasTakenOut, ...kept } = state;
  if (isOver(state) && wasTakenOut !== true) return obeyed(spec, withEndpoints(spec, state), nowMs);
  if (!hasBegun(state)) return begun(release, spec, nowMs);
  return abort(kept, configured("another rollout came in between: give it a new `id` to start over"), nowMs);
}

function begun(release: string, spec: RolloutSpec, nowMs: number): Move {
  const { id, baseline, candidate, candidateEndpoints, command } = spec;
  const state: RolloutState = {
    ...{ release, id, baseline, candidate, candidateEndpoints, command },
    phase: "pending",
    why: whyPending(spec),
    sinceMs: nowMs,
    step: -1,
    heldMs: 0,
    countedAtMs: nowMs,
    weight: 0,
    rings: [],
    planned: [],
    startedAtMs: undefined,
    track: [],
  };
  if (command === "rollback") return rollBack(state, configured("the configuration says `command: rollback`"), nowMs);
  return startedIfDue(spec, state, nowMs);
}

/** The gates of the first step are asked by time, not by a configuration. */
function startedIfDue(spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  if (!startsByItself(spec, state) || hasGate(spec, 1)) return still(state);
  return enterStep(spec, state, 0, startCause, nowMs);
}

function whyPending(spec: RolloutSpec): string {
  if (spec.command === "pause") return "the configuration says `command: pause`";
  if (spec.start === "manual") return "the plan waits for its start (`start: manual`)";
  return hasGate(spec, 1) ? gatesWait(spec, 1) : "it begins now";
}

/** The newest rollout of the release. */
function goneOn(spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  if (state.takenOut === true && state.phase === "completed")
    return chained(completedPutBack(state), [obeyed], spec, nowMs);
  if (state.takenOut === true) return chained(putBack(state, nowMs), [edited, obeyedUnlessRun], spec, nowMs);
  if (isOver(state)) return obeyed(spec, withEndpoints(spec, state), nowMs);
  if (!hasBegun(state)) return chained(still(refreshed(spec, state)), [obeyed, startedIfDue], spec, nowMs);
  const pausing = edited(spec, state, nowMs);
  // A plan that does not fit the current step needs an operator, whatever the file's command is now.
  const isPausedByEdit = pausing.state.why !== state.why;
  return chained(pausing, [isPausedByEdit ? obeyedUnlessRun : obeyed], spec, nowMs);
}

type Change = (spec: RolloutSpec, state: RolloutState, nowMs: number) => Move;

function chained(first: Move, changes: readonly Change[], spec: RolloutSpec, nowMs: number): Move {
  let { state } = first;
  const events: EventDraft[] = [...first.events];
  for (const change of changes) {
    const move = change(spec, state, nowMs);
    state = move.state;
    events.push(...move.events);
  }
  return { state, events };
}

function putBack({ takenOut: _, ...state }: RolloutState, nowMs: number): Move {
  const why = "the rollout was removed from the configuration and restored";
  return moved(state, "paused", "paused", configured(why), nowMs);
}

function completedPutBack({ takenOut: _, ...state }: RolloutState): Move {
  const why = `the completed rollout ${state.id} was restored: all users get ${state.candidate} again`;
  return { state, events: [{ type: "plan-edited", ...configured(why) }] };
}

function refreshed(spec: RolloutSpec, state: RolloutState): RolloutState {
  const why = state.phase === "pending" ? whyPending(spec) : state.why;
  return withEndpoints(spec, why === state.why ? state : { ...state, why });
}

function edited(spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  return takeOverPlan(spec, withEndpoints(spec, state), nowMs);
}

/** The candidate's endpoints as they are now, so that they may be replaced a few at a time. */
function withEndpoints({ candidateEndpoints }: RolloutSpec, state: RolloutState): RolloutState {
  return isSamePlan(candidateEndpoints, state.candidateEndpoints) ? state : { ...state, candidateEndpoints };
}

/** Does what the file's `command` says, if that is another one than before. */
function obeyed(spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  const { command } = spec;
  if (command === state.command) return still(state);
  const verb = verbOf(command, state);
  const cause = configured(`the configuration says \`command: ${command}\` now`);
  const answer = verb === undefined ? still(state) : apply(spec, state, verb, cause, nowMs);
  const { state: changed, events } = "message" in answer ? still(state) : answer;
  return { state: { ...changed, command }, events };
}

function obeyedUnlessRun(spec: RolloutSpec, state: RolloutState, nowMs: number): Move {
  const { command } = spec;
  if (command !== "run") return obeyed(spec, state, nowMs);
  return still(state.command === command ? state : { ...state, command });
}

function verbOf(command: RolloutState["command"], { phase }: RolloutState): Verb | undefined {
  if (command === "rollback") return "rollback";
  if (phase === "pending") return command === "run" ? "start" : undefined;
  if (command === "pause") return "pause";
  return phase === "paused" ? "resume" : undefined;
}
