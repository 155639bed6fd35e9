import type { RolloutTraffic } from "../../decide/release-traffic.ts";
import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { Planner } from "../controller-parts.ts";
import type { RolloutState } from "../rollout-state.ts";
import { advance, fail } from "./advance.ts";
import { sentence } from "./describe.ts";
import { reconcile } from "./reconcile.ts";
import { stepStatuses } from "./steps.ts";
import { hasBegun } from "./transitions.ts";
import { apply } from "./verbs.ts";

/** The plan's state machine: without I/O, clock or memory. */
export const planner: Planner = { reconcile, advance, fail, apply, trafficOf, steps: stepStatuses, sentence };

/** Undefined: the rollout has no traffic of its own, and the split holds. */
function trafficOf({ id, baseline, candidate }: RolloutSpec, state: RolloutState): RolloutTraffic | undefined {
  const { phase, weight, rings } = state;
  const versions = { id, baseline, candidate };
  if (phase === "rolled-back" || phase === "rolling-back")
    return { ...versions, candidateIs: "withdrawn", weight: 0, rings: [] };
  if (phase === "completed") return { ...versions, candidateIs: "drawn", weight: 100, rings: [] };
  if (phase === "pending" || phase === "aborted" || !hasBegun(state)) return undefined;
  return { ...versions, candidateIs: "drawn", weight, rings };
}
