import type { RolloutBody } from "../../../admin/rollout-body.ts";

export type Step = RolloutBody["steps"][number];

/** 0 to 1: how much of its hold a step has behind it. */
export function holdProgress({ state, holdMs, heldMs }: Step): number {
  if (state === "done") return 1;
  if (state === "next" || holdMs === 0) return 0;
  return Math.min(1, heldMs / holdMs);
}

/** Whether time and verdicts move it no more. */
export function isOver({ phase }: RolloutBody): boolean {
  return phase === "rolling-back" || phase === "rolled-back" || phase === "completed" || phase === "aborted";
}

/** Why time alone does not end the current step; undefined if it does. */
export function waitsFor({ phase, why }: RolloutBody): string | undefined {
  return phase === "holding" || phase === "paused" ? why : undefined;
}
