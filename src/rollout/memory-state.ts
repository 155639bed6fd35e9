import type { Saving, StateStore } from "./state-store.ts";

/** Keeps nothing: without a state file rollouts begin anew with the process. */
export class MemoryState implements StateStore {
  async save(): Promise<Saving> {
    return { kind: "saved" };
  }

  async close(): Promise<void> {}
}
