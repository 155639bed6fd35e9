import { formatDuration } from "../../schema-kit/scalars.ts";
import type { YamlMap, YamlValue } from "../draft.ts";
import { durationIn } from "../durations.ts";

interface WeightStep {
  weight: number;
  holdMs: number;
  /** The ring; undefined: everyone. */
  readonly when: YamlMap | undefined;
}

/** What a plan accepts for one step. */
const longestHoldMs = 365 * 86_400_000;

/** The steps of a rollout under construction, in the order of the original. */
export class PlanSteps {
  #steps: (WeightStep | "pause")[] = [];
  /** The weight for everyone, in per cent. */
  #weight = 0;
  /** Whether a weight was lowered, since weights of a plan only rise. */
  #isLowered = false;

  get count(): number {
    return this.#steps.length;
  }

  get isLowered(): boolean {
    return this.#isLowered;
  }

  /** Whether some users try the candidate before everyone gets it. */
  get isTried(): boolean {
    return this.#steps.some((step) => step !== "pause" && (step.when !== undefined || isPartial(step.weight)));
  }

  /** Begins a step with this weight for everyone. Earlier steps get no more than this, as the original takes users back. */
  setWeight(percent: number): void {
    const weight = Math.round(Math.min(Math.max(0, percent), 100) * 1_000) / 1_000;
    for (const step of this.#steps) {
      if (step === "pause" || step.when !== undefined || step.weight <= weight) continue;
      step.weight = weight;
      this.#isLowered = true;
    }
    this.#weight = weight;
    this.#steps.push({ weight, holdMs: 0, when: undefined });
  }

  /** Begins a step in which those who meet the condition get the candidate: everyone of them, or this share. */
  ring(when: YamlMap, percent = 100): void {
    this.#steps.push({ weight: percent, holdMs: 0, when });
  }

  /** The current step takes this much longer. */
  hold(ms: number): void {
    const last = this.#steps.at(-1);
    const before = last === undefined || last === "pause" ? 0 : last.holdMs;
    if (before + ms > longestHoldMs) this.pause();
    else if (last !== undefined && last !== "pause") last.holdMs += ms;
    else this.#steps.push({ weight: this.#weight, holdMs: ms, when: undefined });
  }

  /** Waits for a person. */
  pause(): void {
    this.#steps.push("pause");
  }

  /** Waits for a person before everything else, or before everyone gets the candidate. */
  pauseFirst(): void {
    this.#steps.unshift("pause");
  }

  /** Whether a step that gives some users the candidate ends as soon as it has begun. */
  get isHasty(): boolean {
    return this.#steps.some((step, index) => {
      const next = this.#steps[index + 1];
      const isWhole = step === "pause" || step.when !== undefined || step.weight === 0 || step.weight === 100;
      return !isWhole && step.holdMs === 0 && next !== "pause";
    });
  }

  /** A pause before each step in which the weight rises. */
  pauseBeforeEachWeight(): void {
    this.#steps = this.#steps.flatMap((step) => (step === "pause" ? [step] : ["pause", step]));
  }

  /** As in the configuration; `users` is what each step waits for that gives the candidate users. */
  written(users: number): readonly YamlValue[] {
    const steps = this.#steps.every((step) => step === "pause")
      ? [...this.#steps, { weight: 100, holdMs: 0, when: undefined }]
      : this.#steps;
    return steps.map((step): YamlValue => {
      if (step === "pause") return step;
      const { weight, holdMs, when } = step;
      const waits = users > 0 && weight > 0 && holdMs > 0;
      return {
        ...(when === undefined ? {} : { when }),
        weight,
        hold: holdMs === 0 ? "0s" : formatDuration(holdMs),
        ...(waits ? { atLeast: { users } } : {}),
      };
    });
  }
}

const isPartial = (weight: number): boolean => weight > 0 && weight < 100;

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** A duration of Go in milliseconds; undefined if it is none. */
export function millisecondsOf(text: string): number | undefined {
  const written = durationIn(text.trim());
  if (written === "") return 0;
  const [, count = "", unit = ""] = /^(\d+)(h|ms|m|s)$/.exec(written ?? "") ?? [];
  return count === "" ? undefined : Number(count) * (unitMs[unit] ?? 0);
}
