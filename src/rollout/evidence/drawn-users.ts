import type { Side, Sighting } from "../../observe/rollout/rollout-report.ts";
import { DistinctUnits } from "./distinct-units.ts";
import { savedRecord } from "./saved.ts";

/** How exactly users beyond 10,000 are known. */
const sketchError = 0.02;

/** Distinct drawn users by side: of the whole rollout, and of its current step. At most 1.2 MB. */
export class DrawnUsers {
  readonly #whole: Readonly<Record<Side, DistinctUnits>>;
  #step: Readonly<Record<Side, DistinctUnits>>;

  /** `saved`: undefined for a new rollout. */
  constructor(saved: unknown) {
    const { whole, step } = saved === undefined ? {} : savedRecord(saved);
    this.#whole = sidesOf(whole);
    this.#step = sidesOf(step);
  }

  take({ hi, lo, side }: Sighting): void {
    this.#whole[side].add(hi, lo);
    this.#step[side].add(hi, lo);
  }

  beginStep(): void {
    this.#step = sidesOf(undefined);
  }

  count(side: Side): number {
    return this.#whole[side].count;
  }

  /** Undefined: exact. Else the count is right within this share. */
  within(side: Side): number | undefined {
    return this.#whole[side].isExact ? undefined : sketchError;
  }

  stepCount(side: Side): number {
    return this.#step[side].count;
  }

  save(): unknown {
    return { whole: saveSides(this.#whole), step: saveSides(this.#step) };
  }
}

function sidesOf(saved: unknown): Readonly<Record<Side, DistinctUnits>> {
  if (saved === undefined) return { baseline: new DistinctUnits(), candidate: new DistinctUnits() };
  const { baseline, candidate } = savedRecord(saved);
  return { baseline: DistinctUnits.restore(baseline), candidate: DistinctUnits.restore(candidate) };
}

function saveSides({ baseline, candidate }: Readonly<Record<Side, DistinctUnits>>): unknown {
  return { baseline: baseline.save(), candidate: candidate.save() };
}
