import type { HandedAnswer, HandedOver, LeaderAnswer, ReplicaMessage } from "../rollout/replicas/replica-messages.ts";

/** The replicas that share the state of rollouts, as this one knows them. */
export interface Replicas {
  status(): ReplicaStatus;
  /** Undefined if this replica does not lead. */
  heard(message: ReplicaMessage): LeaderAnswer | undefined;
  /** Undefined if this replica does not lead. */
  make(asked: HandedOver): Promise<HandedAnswer | undefined>;
}

export interface ReplicaStatus {
  readonly identity: string;
  readonly isLeading: boolean;
  /** Null: nobody leads, and no rollout moves. */
  readonly leader: { readonly identity: string; readonly address: string | null } | null;
  readonly revision: number;
  /** Why this replica does not know or cannot change the shared state; null if all is well. */
  readonly problem: string | null;
  /** Reports that the leader has not got in time. */
  readonly droppedReports: number;
}
