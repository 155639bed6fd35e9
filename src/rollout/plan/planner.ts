import type { RolloutTraffic } from "../../decide/release-traffic.ts";
import type { Planner } from "../controller-parts.ts";
import { isWithdrawn, type RolloutState } from "../rollout-state.ts";
import { advance, fail } from "./advance.ts";
import { sentence } from "./describe.ts";
import { reconcile } from "./reconcile.ts";
import { stepStatuses } from "./steps.ts";
import { hasBegun } from "./transitions.ts";
import { apply } from "./verbs.ts";

/** The plan's state machine: without I/O, clock or memory. */
export const planner: Planner = { reconcile, advance, fail, apply, trafficOf, steps: stepStatuses, sentence };

/** Undefined: the rollout does not direct traffic, and the split applies. */
function trafficOf(state: RolloutState): RolloutTraffic | undefined {
  const { id, baseline, candidate, phase, step, weight, rings } = state;
  const rollout = { id, baseline, candidate, step };
  if (isWithdrawn(state)) return { ...rollout, candidateIs: "withdrawn", weight: 0, rings: [] };
  if (phase === "completed") return { ...rollout, candidateIs: "drawn", weight: 100, rings: [] };
  if (phase === "pending" || phase === "aborted" || !hasBegun(state)) return undefined;
  return { ...rollout, candidateIs: "drawn", weight, rings };
}
