import type { SavedState } from "../rollout-state.ts";

/** `unknown`: it was sent, and may be saved or not. */
export type Saving = { readonly kind: "saved" } | { readonly kind: "failed" | "unknown"; readonly why: string };

/** Where the state of rollouts is kept. */
export interface StateStore {
  /** Resolves once the state is durable, or with why it is not. One after the other, in the order of the calls. */
  save(state: SavedState): Promise<Saving>;
  close(): Promise<void>;
}

/** Keeps nothing: without a state file, rollouts start over with the process. */
export class MemoryState implements StateStore {
  async save(): Promise<Saving> {
    return { kind: "saved" };
  }

  async close(): Promise<void> {}
}
