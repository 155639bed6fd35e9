import type { RolloutState, SplitOverride } from "../rollout-state.ts";
import type { Change, ChangeAnswer, RolloutStatus, SplitAnswer, Verb } from "../rollouts-api.ts";
import type { ReleaseQuestions } from "./release-questions.ts";
import type { NumberedReport } from "./report-outbox.ts";

/** What a replica tells the leader each second: plain JSON. */
export interface ReplicaMessage {
  /** Its identity, as in the Lease. */
  readonly replica: string;
  /** The term and revision that it follows. */
  readonly term: string;
  readonly revision: number;
  /** Rollouts that it knows were rolled back, which the leader may not know. */
  readonly withdrawn: readonly WithdrawnRollout[];
  readonly reports: readonly NumberedReport[];
}

export interface WithdrawnRollout {
  readonly release: string;
  readonly id: string;
  readonly why: string;
}

/** What the leader answers: plain JSON. */
export interface LeaderAnswer {
  readonly term: string;
  /** Up to which number the replica's reports were taken, and are in the saved state. */
  readonly taken: number;
  readonly saved: number;
  readonly statuses: readonly RolloutStatus[];
  readonly questions: readonly ReleaseQuestions[];
  /** Undefined: the replica follows it already. */
  readonly state: LeaderState | undefined;
}

export interface LeaderState {
  readonly revision: number;
  readonly rollouts: readonly RolloutState[];
  readonly splits: readonly SplitOverride[];
}

/** A change that somebody asked a replica for, which only the leader makes. */
export type HandedOver =
  | { readonly kind: "change"; readonly release: string; readonly verb: Verb; readonly change: HandedChange }
  | {
      readonly kind: "set-split";
      readonly release: string;
      readonly split: Readonly<Record<string, number>>;
      readonly forMs: number | undefined;
      readonly change: HandedChange;
    }
  | { readonly kind: "end-split"; readonly release: string; readonly change: HandedChange };

/** JSON has no undefined values: `ifRevision` is left out. */
export type HandedChange = Pick<Change, "why" | "by"> & { readonly ifRevision?: number | undefined };

export type HandedAnswer = ChangeAnswer | SplitAnswer;
