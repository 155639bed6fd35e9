import type { RolloutBody } from "../../admin/rollout-body.ts";
import type { Verb } from "../../rollout/rollouts-api.ts";

/** The effect of a change on users, as far as it can be known in advance. */
export type Effect =
  /** `users`: of those that the rollout has counted, who get another version at their next request. */
  | { readonly kind: "move"; readonly users: number; readonly to: string; readonly share: number }
  /** Only the rollout knows who belongs to a ring. */
  | { readonly kind: "ring"; readonly title: string; readonly to: string }
  /** Nobody moves until the rollout is resumed. */
  | { readonly kind: "stays" }
  /** Nobody moves now; the plan continues automatically. */
  | { readonly kind: "goes-on" };

export function effectOf(verb: Verb, rollout: RolloutBody): Effect {
  switch (verb) {
    case "pause":
      return { kind: "stays" };
    case "rollback":
      return { kind: "move", users: rollout.users.candidate.users, to: rollout.baseline, share: 0 };
    case "promote":
      return everyone(rollout);
    case "start":
      return toStep(rollout, 0);
    case "step":
      return toStep(rollout, rollout.step);
    case "resume":
      return resumed(rollout);
  }
}

/** Resuming ends a planned pause; after an operator's pause, the step continues where it was. */
function resumed(rollout: RolloutBody): Effect {
  const current = rollout.steps[rollout.step - 1];
  const isOver = current === undefined || current.weight === null || current.heldMs >= current.holdMs;
  return isOver ? toStep(rollout, rollout.step) : { kind: "goes-on" };
}

/** `index`: of the step that begins, from 0; after the last one everyone gets the candidate. */
function toStep(rollout: RolloutBody, index: number): Effect {
  const next = rollout.steps[index];
  if (next === undefined) return everyone(rollout);
  if (next.weight === null) return { kind: "stays" };
  const isRing = next.title.includes(" of ring ");
  if (isRing) return { kind: "ring", title: next.title, to: rollout.candidate };
  // Those who are on the candidate stay; of the others as many move as the weight rises.
  const rise = Math.max(0, next.weight - rollout.weight) / Math.max(1, 100 - rollout.weight);
  const users = Math.round(rollout.users.baseline.users * Math.min(1, rise));
  return { kind: "move", users, to: rollout.candidate, share: next.weight / 100 };
}

function everyone(rollout: RolloutBody): Effect {
  return { kind: "move", users: rollout.users.baseline.users, to: rollout.candidate, share: 1 };
}
