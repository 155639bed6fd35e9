import type { CheckResult, Phase, RolloutEvent, SplitOverride, UserCounts } from "./rollout-state.ts";

export const verbs = ["start", "pause", "resume", "step", "promote", "rollback"] as const;
export type Verb = (typeof verbs)[number];

export interface Change {
  readonly why: string;
  /** Who asks, for the audit log: such as `token 3f9a` or `token 3f9a (alice)`. */
  readonly by: string;
  /** Undefined: whatever the revision is. */
  readonly ifRevision: number | undefined;
}

export type ChangeAnswer =
  | { readonly kind: "done"; readonly status: RolloutStatus; readonly changed: boolean }
  | { readonly kind: "refused"; readonly cause: RefusedCause; readonly message: string };

/** `no-rollout`: 404. `wrong-phase`: 409. `conflict`: 412. `not-saved`: 503, nothing changed, or it is not known. `invalid`: 400. */
export type RefusedCause = "no-rollout" | "wrong-phase" | "conflict" | "not-saved" | "invalid";

/** Everything that the API, the command line and the dashboard show of one rollout. */
export interface RolloutStatus {
  readonly release: string;
  readonly id: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly phase: Phase;
  readonly why: string;
  readonly sinceMs: number;
  readonly revision: number;
  /** Where it stands and what happens next, for people: "Step 3 of 5: 10 % for 4 more minutes; no check fails." */
  readonly sentence: string;
  /** From 1; 0 before the first. */
  readonly step: number;
  readonly steps: readonly StepStatus[];
  readonly weight: number;
  readonly checks: readonly CheckResult[];
  /** Drawn users of the whole rollout, and of the current step. */
  readonly users: { readonly baseline: UserCounts; readonly candidate: UserCounts };
  readonly stepUsers: { readonly baseline: number; readonly candidate: number };
  /** Responses to requests whose version was not drawn. */
  readonly placed: { readonly baseline: AnswerTotals; readonly candidate: AnswerTotals };
  readonly drawn: { readonly baseline: AnswerTotals; readonly candidate: AnswerTotals };
  readonly startedAtMs: number | null;
  /** Why the state cannot be saved, read or trusted; null if all is well. */
  readonly stateProblem: string | null;
}

export interface AnswerTotals {
  readonly good: number;
  readonly failed: number;
}

export interface StepStatus {
  /** As the plan has it, such as `10 %`, `50 % of ring cn-east` or `pause`. */
  readonly title: string;
  readonly state: "done" | "current" | "next";
  readonly weight: number | null;
  readonly holdMs: number;
  readonly heldMs: number;
  readonly atLeastUsers: number;
}

/** What the admin server and the exporter need of rollouts. The controller implements it. */
export interface Rollouts {
  readonly revision: number;
  all(): readonly RolloutStatus[];
  /** Undefined if the release has no rollout. */
  of(release: string): RolloutStatus | undefined;
  change(release: string, verb: Verb, change: Change): Promise<ChangeAnswer>;
  setSplit(
    release: string,
    split: Readonly<Record<string, number>>,
    forMs: number | undefined,
    change: Change,
  ): Promise<SplitAnswer>;
  /** Ends the split that an operator set: the configured one holds again. Answers the one that ended. */
  endSplit(release: string, change: Change): Promise<SplitAnswer>;
  splits(): readonly SplitOverride[];
  /** Events after this id, oldest first, as far as they are kept. */
  eventsAfter(id: number): readonly RolloutEvent[];
  /** Calls the listener with each new event; the function returned ends that. */
  subscribe(listener: (event: RolloutEvent) => void): () => void;
  /** Rollbacks since the process started, by release and reason. */
  rollbacks(): readonly { readonly release: string; readonly reason: string; readonly count: number }[];
}

export type SplitAnswer =
  | { readonly kind: "done"; readonly split: SplitOverride; readonly revision: number }
  | { readonly kind: "refused"; readonly cause: RefusedCause; readonly message: string };

export function refused<C extends RefusedCause>(cause: C, message: string) {
  return { kind: "refused", cause, message } as const;
}

export function conflict(revision: number) {
  return refused("conflict", `the state has changed since: it is at revision ${revision} now`);
}

/** It may have changed something. */
export function notKnown(why = "unknown") {
  const detail = `it is not known whether this was done: ${why}. Look at the rollout before you ask again`;
  return refused("not-saved", detail);
}

export function notSaved(problem = "unknown") {
  return refused("not-saved", `nothing changed: the state cannot be saved: ${problem}`);
}
