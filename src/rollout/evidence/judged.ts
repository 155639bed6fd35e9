import type { CheckResult } from "../rollout-state.ts";
import type { DrawnUsers } from "./drawn-users.ts";
import type { Questions } from "./questions.ts";

export type Verdict = CheckResult["verdict"];
/** What a result says beside its verdict. */
export type Finding = Omit<CheckResult, "name" | "metric" | "verdict" | "atMs">;

/** One thing that is asked of a rollout. */
export interface Judged {
  readonly name: string;
  readonly metric: CheckResult["metric"];
  /** What is asked, as a text: its failure is remembered for as long as the same is asked. */
  readonly key: string;
  /** Whether a failure stops the rollout, or is only shown. */
  readonly acts: boolean;
  readonly isShown: "always" | "once-failed";
  /** Cheap: it is asked for after every report. */
  verdict(): Verdict;
  finding(verdict: Verdict): Finding;
}

/** What all checks of one rollout look at. */
export interface Seen {
  /** Names of the versions. */
  readonly baseline: string;
  readonly candidate: string;
  readonly users: DrawnUsers;
  readonly questions: Questions;
}
