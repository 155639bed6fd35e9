import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { Cause, Move, Refusal } from "../controller-parts.ts";
import { isWithdrawn, type RolloutState } from "../rollout-state.ts";
import type { Verb } from "../rollouts-api.ts";
import {
  complete,
  counted,
  endStep,
  enterStep,
  hasBegun,
  isStepEnded,
  moved,
  passStep,
  pause,
  raised,
  rollBack,
  still,
} from "./transitions.ts";

/** Applies a command of an operator. Returns the same state object if nothing changes. */
export function apply(spec: RolloutSpec, state: RolloutState, verb: Verb, by: Cause, nowMs: number): Move | Refusal {
  const { phase } = state;
  if (isWithdrawn(state))
    return verb === "rollback" ? still(state) : refused(spec, "was rolled back and cannot continue");
  if (phase === "aborted") return refused(spec, "was aborted and cannot continue");
  if (verb === "rollback") return rollBack(state, by, nowMs);
  if (phase === "completed") return applyToCompleted(state, verb);
  switch (verb) {
    case "start":
      return hasBegun(state) || phase === "holding" ? still(state) : passStep(spec, state, by, nowMs);
    case "pause":
      return phase === "paused" ? still(state) : pause(state, by, nowMs);
    case "resume":
      return resume(spec, state, by, nowMs);
    case "step":
      if (phase === "pending") return notBegun(state);
      return hasBegun(state) ? endStep(spec, state, by, nowMs) : enterStep(spec, state, 0, by, nowMs);
    case "promote":
      return complete(state, by, nowMs);
  }
}

function resume(spec: RolloutSpec, state: RolloutState, by: Cause, nowMs: number): Move | Refusal {
  if (state.phase === "pending") return notBegun(state);
  if (state.phase !== "paused") return still(state);
  const step = spec.steps[state.step];
  if (step?.kind !== "weight" || isStepEnded(state)) return passStep(spec, state, by, nowMs);
  // An edit of the plan may have changed the step in the meantime.
  return moved(raised(counted(state, nowMs), step), "progressing", "resumed", by, nowMs);
}

function applyToCompleted(state: RolloutState, verb: Verb): Move | Refusal {
  if (verb !== "pause" && verb !== "step") return still(state);
  const message = `rollout ${state.id} is completed: there is no step left. \`rollback\` removes ${state.candidate}`;
  return { kind: "refused", message };
}

function notBegun({ id }: RolloutState): Refusal {
  return { kind: "refused", message: `rollout ${id} has not started: use \`start\`` };
}

function refused({ id, candidate }: RolloutSpec, what: string): Refusal {
  const message = `rollout ${id} ${what}: give the rollout a new \`id\` in the configuration to try ${candidate} again`;
  return { kind: "refused", message };
}
