/** The steps of a decision, in the order in which they can appear. */
export type Stage = "override" | "propagated" | "unit" | "pin" | "rule" | "split" | "default" | "cookie";

/** What one step of a decision did, and why, in words for people. */
export interface TrailEntry {
  readonly stage: Stage;
  readonly outcome:
    | "ignored"
    | "used"
    | "void"
    | "remembered"
    | "followed"
    | "matched"
    | "not-matched"
    | "skipped"
    | "drawn"
    | "kept"
    | "written"
    | "unchanged";
  readonly detail: string;
}

/** Filled by a decision that is asked to explain itself; requests pass none and pay nothing for it. */
export type Trail = TrailEntry[];
