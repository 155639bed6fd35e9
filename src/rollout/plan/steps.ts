import type { RolloutSpec, StepSpec } from "../../decide/rollout-spec.ts";
import type { RolloutState } from "../rollout-state.ts";
import type { StepStatus } from "../rollouts-api.ts";

/** As people write it: `10 %`, `50 % of ring region=cn-east`, `pause`. */
export function titleOf(step: StepSpec | undefined): string {
  if (step === undefined || step.kind === "pause") return "pause";
  return step.ring === undefined ? `${step.weight} %` : `${step.weight} % of ring ${step.ring.key}`;
}

/** The step's title with the weight that is in force, which an edit of the plan never lowers. */
export function titleInForce(step: StepSpec | undefined, { weight, rings }: RolloutState): string {
  if (step === undefined || step.kind === "pause") return titleOf(step);
  const had = step.ring === undefined ? weight : (rings.find(({ key }) => key === step.ring?.key)?.weight ?? 0);
  return had > step.weight ? `${titleOf({ ...step, weight: had })}, planned as ${step.weight} %` : titleOf(step);
}

/** "step 3 of 5 (10 %)"; with a state, its weight in force. */
export function placeOf({ steps }: RolloutSpec, step: number, state?: RolloutState): string {
  const title = state === undefined ? titleOf(steps[step]) : titleInForce(steps[step], state);
  return `step ${step + 1} of ${steps.length} (${title})`;
}

/** Each step as a text that is equal only for equal steps. It begins with the title, up to a semicolon. */
export function plannedOf({ steps }: RolloutSpec): readonly string[] {
  return steps.map((step) =>
    step.kind === "pause" ? titleOf(step) : `${titleOf(step)}; hold ${step.holdMs} ms; ${step.atLeastUsers} users`,
  );
}

export const plannedTitle = (planned: string): string => planned.split(";", 1)[0] ?? "";

/** The plan's steps and how far the rollout is in them. */
export function stepStatuses({ steps }: RolloutSpec, state: RolloutState): readonly StepStatus[] {
  return steps.map((step, index) => ({
    title: titleOf(step),
    state: stateOf(state, index),
    weight: step.kind === "pause" ? null : step.weight,
    holdMs: step.kind === "pause" ? 0 : step.holdMs,
    heldMs: heldMsOf(state, index),
    atLeastUsers: step.kind === "pause" ? 0 : step.atLeastUsers,
  }));
}

function stateOf({ phase, step }: RolloutState, index: number): StepStatus["state"] {
  if (phase === "completed" || index < step) return "done";
  return index === step ? "current" : "next";
}

function heldMsOf({ step, heldMs, track }: RolloutState, index: number): number {
  if (index === step) return heldMs;
  return track.findLast((record) => record.step === index)?.heldMs ?? 0;
}

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** Rounded up, in the two largest units: `4 minutes`, `1 hour 5 minutes`; seconds only below a minute. */
export function inWords(ms: number): string {
  const smallestMs = ms > 59_000 ? 60_000 : 1_000;
  let rest = Math.max(Math.ceil(ms / smallestMs), 0) * smallestMs;
  const words: string[] = [];
  for (const [name, unitMs] of units) {
    const count = Math.floor(rest / unitMs);
    rest -= count * unitMs;
    if (count > 0) words.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  return words.slice(0, 2).join(" ") || "0 seconds";
}
