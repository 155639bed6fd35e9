/** What outlives the process of one rollout. Plain JSON: it is the state file's content, and the API's source. */
export interface RolloutState {
  readonly release: string;
  readonly id: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly candidateEndpoints: readonly string[];
  readonly phase: Phase;
  /** Why it is in this phase, as a sentence for people. */
  readonly why: string;
  /** When the phase or the step changed last. */
  readonly sinceMs: number;
  /** The current step, from 0; -1 before the first begins. */
  readonly step: number;
  /** Time spent in the current step while progressing, up to `countedAtMs`: pauses do not count. */
  readonly heldMs: number;
  readonly countedAtMs: number;
  /** The candidate's weight for those that no ring covers, in percent. */
  readonly weight: number;
  readonly rings: readonly { readonly key: string; readonly weight: number }[];
  /** The steps as they were planned when the current one began, each as a text: tells an edit of the plan. */
  readonly planned: readonly string[];
  /** The last `command` of the file that was obeyed. */
  readonly command: "run" | "pause" | "rollback";
  readonly startedAtMs: number | undefined;
  /** What each step so far waited for, in order. */
  readonly track: readonly StepRecord[];
  /** Failures that paused it, the last of each check. Each pauses once, so that who resumes is not paused again by it. */
  readonly pausedFor?: readonly { readonly check: string; readonly atMs: number | null }[];
  /** It was aborted because it was removed from the configuration; if restored, it continues. */
  readonly takenOut?: true;
}

export const phases = [
  "pending",
  "progressing",
  "paused",
  "holding",
  "rolling-back",
  "rolled-back",
  "completed",
  "aborted",
] as const;
export type Phase = (typeof phases)[number];

export function isWithdrawn({ phase }: RolloutState): boolean {
  return phase === "rolling-back" || phase === "rolled-back";
}

/** Whether it asks nothing more of anybody. */
export function isOver(state: RolloutState): boolean {
  return isWithdrawn(state) || state.phase === "completed" || state.phase === "aborted";
}

export interface StepRecord {
  readonly step: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number | undefined;
  readonly heldMs: number;
}

/** A transition or a change: what happened, when, by whom, why, and what was known. */
export interface RolloutEvent {
  /** Rises by one, over all releases and restarts. */
  readonly id: number;
  readonly atMs: number;
  readonly release: string;
  /** Null for an event of the release without a rollout. */
  readonly rollout: string | null;
  readonly type:
    | "started"
    | "step"
    | "holding"
    | "paused"
    | "resumed"
    | "rolled-back"
    | "completed"
    | "aborted"
    | "check"
    | "plan-edited"
    | "split";
  readonly phase: Phase | null;
  readonly step: number | null;
  readonly weight: number | null;
  /** `perch`, `configuration`, or who called the API. */
  readonly by: string;
  /** A sentence for people. */
  readonly why: string;
  /** The checks as they stood; empty where none matter. */
  readonly evidence: readonly CheckResult[];
}

export interface CheckResult {
  readonly name: string;
  readonly metric: "errors" | "slow" | "prometheus" | "webhook" | "drift" | "cap" | "catastrophe";
  readonly verdict: "pass" | "fail" | "not-enough-data";
  /** When the verdict was reached; null while there is none. */
  readonly atMs: number | null;
  /** Users and those of them that met a bad answer; null where the check does not count them. */
  readonly baseline: UserCounts | null;
  readonly candidate: UserCounts | null;
  /** The e-value, or the value that a query gave. */
  readonly evidence: number | null;
  /** What `evidence` or the interval is compared with. */
  readonly limit: number | null;
  /** Of the share or the difference of shares. */
  readonly interval: readonly [low: number, high: number] | null;
  /** The evidence in words, and how much data is missing. */
  readonly why: string;
}

export interface UserCounts {
  readonly users: number;
  readonly bad: number;
}

/** A split that an operator set for a while, instead of the configured one. */
export interface SplitOverride {
  readonly release: string;
  readonly split: Readonly<Record<string, number>>;
  readonly untilMs: number | null;
  readonly by: string;
  readonly why: string;
}

/** The whole state file. `judge` is what the judge saved of each rollout, by `<release> <id>`; its shape is the judge's. */
export interface SavedState {
  readonly format: "perch-rollouts";
  readonly version: 1;
  /** Rises with every change: for `If-Match`. */
  readonly revision: number;
  /** The current rollout of each release, and older ones, newest first. */
  readonly rollouts: readonly RolloutState[];
  readonly splits: readonly SplitOverride[];
  /** The newest last; bounded. */
  readonly events: readonly RolloutEvent[];
  readonly judge: Readonly<Record<string, unknown>>;
  /** Of several replicas: up to which number the reports of each are in `judge`. */
  readonly replicas?: Readonly<Record<string, number>>;
}
