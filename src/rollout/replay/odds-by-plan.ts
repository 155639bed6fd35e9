import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { Side } from "../../observe/rollout/rollout-report.ts";

/** What the plan gives a candidate from some time on, counted from the beginning. */
interface Stretch {
  readonly fromMs: number;
  /** 0 to 1. */
  readonly odds: number;
}

/** After the plan, so many draws must be seen before they say whether both versions are still drawn. */
const telling = 20;

/**
 * The odds that the plan would have had at a time, for draws whose odds the log does not have: steps by their hold
 * only, pauses of zero length, and no user in a ring.
 *
 * A plan that ends in `complete` then gives the baseline nothing. If the log still has draws to the baseline after that,
 * another plan produced it, and the last step is assumed to have continued.
 */
export class OddsByPlan {
  readonly #stretches: readonly Stretch[];
  readonly #endMs: number;
  #at = 0;
  #baselineAfterEnd = 0;
  #drawsAfterEnd = 0;

  constructor({ steps, afterLastStep }: Pick<RolloutSpec, "steps" | "afterLastStep">) {
    const stretches: Stretch[] = [];
    let [fromMs, weight] = [0, 0];
    for (const step of steps) {
      if (step.kind === "pause") continue;
      if (step.ring === undefined) weight = step.weight;
      stretches.push({ fromMs, odds: weight / 100 });
      fromMs += step.holdMs;
    }
    this.#stretches = stretches;
    this.#endMs = afterLastStep === "complete" ? fromMs : Number.POSITIVE_INFINITY;
  }

  /** Takes a draw and gives its odds. `elapsedMs`: since the first line; it never falls. */
  take(side: Side, elapsedMs: number): number {
    while ((this.#stretches[this.#at + 1]?.fromMs ?? Number.POSITIVE_INFINITY) <= elapsedMs) this.#at += 1;
    const odds = this.#stretches[this.#at]?.odds ?? 0;
    if (elapsedMs < this.#endMs) return odds;
    // What was seen before this draw decides, not the draw itself, which would bias what is judged.
    const goesOn = this.#goesOn(odds);
    this.#drawsAfterEnd += 1;
    if (side === "baseline") this.#baselineAfterEnd += 1;
    return goesOn ? odds : 1;
  }

  /** Requests that began before the end may be logged after it, so a few draws to the baseline mean nothing. */
  #goesOn(odds: number): boolean {
    return this.#drawsAfterEnd >= telling && this.#baselineAfterEnd >= (this.#drawsAfterEnd * (1 - odds)) / 2;
  }
}
