import type { Condition } from "./condition.ts";

/** A release's plan to move from `baseline` to `candidate` in steps, as compiled from the configuration. */
export interface RolloutSpec {
  /** Names the rollout and salts its draw: a new id is a new rollout. */
  readonly id: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly start: "auto" | "manual";
  /** Obeyed when it changes. */
  readonly command: "run" | "pause" | "rollback";
  /** Never empty. */
  readonly steps: readonly StepSpec[];
  /** After the last hold. */
  readonly afterLastStep: "complete" | "pause";
  readonly checks: readonly CheckSpec[];
  /** Statuses that count as failures, besides cut transfers and failed gRPC calls. */
  readonly failures: ReadonlySet<number>;
  /** The probability that a candidate equal to the baseline is ever found worse, over all checks; 0 to 1. */
  readonly falseAlarm: number;
  readonly onFail: "rollback" | "pause";
  /** What happens if the shares of new or returning units are not as drawn. */
  readonly drift: "off" | "warn" | "fail";
  readonly caps: CapsSpec;
  readonly notify: readonly NotifySpec[];
  /** The candidate's endpoints in all paired services, as texts in a fixed order: tells a new candidate from an old one. */
  readonly candidateEndpoints: readonly string[];
}

export type StepSpec =
  | { readonly kind: "pause" }
  | {
      readonly kind: "weight";
      /** The candidate's share of the units that are drawn to baseline or candidate, in percent. */
      readonly weight: number;
      readonly holdMs: number;
      /** Drawn users of the candidate that the step waits for. 0: none. */
      readonly atLeastUsers: number;
      /** Whom the weight is for; undefined: everyone. */
      readonly ring: RingSpec | undefined;
    };

export interface RingSpec {
  /** Identifies the condition as written: equal for equal conditions, in every process. Letters, digits, `_` and `-`. */
  readonly key: string;
  readonly when: Condition;
}

/** What makes an answer bad: a failure, or a duration over a limit; `p95`: over that of the baseline's answers. */
export type BadAnswer =
  | { readonly metric: "errors"; readonly over: undefined }
  | { readonly metric: "slow"; readonly over: number | "p95" };

export type CheckSpec =
  /** Are the units that meet a bad answer on the candidate more often than drawn? */
  | (BadAnswer & { readonly kind: "compare"; readonly name: string })
  /** The share of the candidate's users that meet a bad answer, 0 to 1. */
  | (BadAnswer & { readonly kind: "at-most"; readonly name: string; readonly share: number })
  /** By how much that share may exceed the baseline's; passes only when more than this is ruled out. */
  | (BadAnswer & { readonly kind: "margin"; readonly name: string; readonly share: number })
  | {
      readonly kind: "prometheus";
      readonly name: string;
      readonly url: string;
      readonly query: string;
      readonly atLeast: number | undefined;
      readonly atMost: number | undefined;
      readonly everyMs: number;
      /** Consecutive bad values that fail the check. */
      readonly failures: number;
    }
  | {
      readonly kind: "webhook";
      readonly name: string;
      readonly url: string;
      /** From 1. The gate is asked before this step begins; undefined: before every step. */
      readonly beforeStep: number | undefined;
      readonly everyMs: number;
    };

/** What the candidate may cost while it is on trial. Undefined: no bound. Reaching one is a failure (`onFail`). */
export interface CapsSpec {
  readonly users: number | undefined;
  /** Drawn users that met a failure on the candidate. */
  readonly failures: number | undefined;
  readonly requestsPerSecond: number | undefined;
}

export interface NotifySpec {
  readonly url: string;
  /** The first signs. Empty: unsigned. */
  readonly secrets: readonly Uint8Array[];
}
