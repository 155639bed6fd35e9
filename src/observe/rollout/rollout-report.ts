/**
 * What one data plane saw of a release's rollout since its last report: plain data that may be sent to another thread.
 */
export interface RolloutReport {
  readonly release: string;
  /** The rollout's id. A report on another one is dropped. */
  readonly id: string;
  /** In the order in which the answers ended. */
  readonly sightings: readonly Sighting[];
  /** Answers to drawn units: those that are judged. */
  readonly drawn: AnswersBySide;
  /** Answers to units that a rule, an override, a caller or a held pin placed: shown, not judged. */
  readonly placed: AnswersBySide;
  /** Baseline's durations: counts by bucket of `duration-buckets.ts`. Empty if no check asks for its p95. */
  readonly baselineDurations: readonly number[];
}

export type Side = "baseline" | "candidate";

export interface AnswersBySide {
  readonly baseline: AnswerCounts;
  readonly candidate: AnswerCounts;
}

/** `failed`: by `failures`, cut transfers and failed gRPC calls; slow ones are not among them. */
export interface AnswerCounts {
  readonly good: number;
  readonly failed: number;
}

/**
 * One answer to a drawn unit that tells something new. A plane that has forgotten a unit may report it again, so the
 * receiver counts each unit once.
 */
export interface Sighting {
  /** The two words of the unit. */
  readonly hi: number;
  readonly lo: number;
  readonly side: Side;
  /** The probability of the candidate in this unit's draw, given that it was drawn to baseline or candidate; 0 to 1. */
  readonly odds: number;
  /** `first`: this plane knew nothing of the unit. `returned`: its second request. `known`: reported before. */
  readonly seen: "first" | "returned" | "known";
  /** Which questions it was bad for: bit `n` for the n-th of `BadAnswerQuestions`. 0: a good answer. */
  readonly bad: number;
  /** Good answers to drawn units on the same side, in this plane, since the last sighting of that side with `bad`. */
  readonly goodBefore: number;
}

/**
 * What a data plane asks of each answer. Bit 0 of `bad` is a failure; the others are slower than a limit, in the order of
 * `slowLimitsMs`. `Infinity`: not known yet, nothing is slow.
 */
export interface BadAnswerQuestions {
  readonly failures: ReadonlySet<number>;
  readonly slowLimitsMs: readonly number[];
  readonly wantsBaselineDurations: boolean;
}
