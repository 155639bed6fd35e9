import type { Schedule } from "../../upstream/clock.ts";
import { notKnown, notSaved } from "../rollouts-api.ts";
import type { HandedAnswer, HandedOver } from "./replica-messages.ts";

/** A change was sent to the leader, and whether that has made it is not known. */
export class UnknownOutcome extends Error {
  override readonly name = "UnknownOutcome";
}

export interface ChangeHandoverParts {
  /**
   * Asks the leader to make a change. Rejects with an `UnknownOutcome`, or, with what to do, if there is no leader or it was
   * not reached.
   */
  readonly askLeader: (asked: HandedOver) => Promise<HandedAnswer>;
  /** What this replica does as. */
  readonly revision: () => number;
  readonly schedule: Schedule;
}

/** A replica that handed a change over answers once it follows the result itself, or after this time. */
const followsWithinMs = 2_000;

/** Changes that a replica was asked for and that only the leader makes. */
export class ChangeHandover {
  readonly #parts: ChangeHandoverParts;
  /** Called at the next change of the state. */
  readonly #waiting = new Set<() => void>();

  constructor(parts: ChangeHandoverParts) {
    this.#parts = parts;
  }

  async ask<A extends HandedAnswer>(asked: HandedOver): Promise<A> {
    let answer: HandedAnswer;
    try {
      answer = await this.#parts.askLeader(asked);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return (error instanceof UnknownOutcome ? notKnown(why) : notSaved(why)) as A;
    }
    if (answer.kind === "done") await this.#follows("status" in answer ? answer.status.revision : answer.revision);
    return answer as A;
  }

  /** The data planes do as the state says by now. */
  changed(): void {
    for (const look of this.#waiting) look();
  }

  async #follows(revision: number): Promise<void> {
    if (this.#parts.revision() >= revision) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => this.#parts.revision() >= revision && resolve();
    this.#waiting.add(look);
    const cancel = this.#parts.schedule(followsWithinMs, resolve);
    await promise;
    cancel();
    this.#waiting.delete(look);
  }
}
