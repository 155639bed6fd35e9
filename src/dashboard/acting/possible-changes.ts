import type { RolloutBody } from "../../admin/rollout-body.ts";
import type { Verb } from "../../rollout/rollouts-api.ts";
import type { Access } from "../store/session.ts";

/** Why something cannot be done now; the page has words for each. */
export type Obstacle =
  | "disconnected"
  | "no-token-configured"
  | "no-rollout"
  | "rolled-back"
  | "aborted"
  | "completed"
  | "not-begun"
  | "begun"
  | "paused"
  | "not-paused";

interface Circumstances {
  readonly rollout: RolloutBody | undefined;
  readonly access: Access;
  /** Whether what the page shows is what is. */
  readonly isLive: boolean;
}

/** What is in the way of a change; undefined if nothing is. As the server judges it, so that the page need not ask. */
export function obstacleTo(verb: Verb, { rollout, access, isLive }: Circumstances): Obstacle | undefined {
  if (!isLive) return "disconnected";
  if (access.change === "no-token-configured") return "no-token-configured";
  return rollout === undefined ? "no-rollout" : obstacleOf(verb, rollout);
}

function obstacleOf(verb: Verb, { phase, step }: RolloutBody): Obstacle | undefined {
  if (phase === "rolled-back" || phase === "rolling-back") return "rolled-back";
  if (phase === "aborted") return "aborted";
  if (verb === "rollback") return undefined;
  if (phase === "completed") return "completed";
  const hasBegun = step > 0;
  switch (verb) {
    case "start":
      return hasBegun || phase === "holding" ? "begun" : undefined;
    case "pause":
      return phase === "paused" ? "paused" : undefined;
    case "resume":
      return phase === "paused" ? undefined : phase === "pending" ? "not-begun" : "not-paused";
    case "step":
      return phase === "pending" ? "not-begun" : undefined;
    case "promote":
      return undefined;
  }
}
