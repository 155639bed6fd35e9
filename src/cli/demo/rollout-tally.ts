import type { DemoUser } from "./demo-user.ts";
import type { Answer } from "./tally.ts";

/** What users met while the canary was rolled out, counted from their side. */
export class RolloutTally {
  readonly #onCanary = new WeakSet<DemoUser>();
  readonly #met = new WeakSet<DemoUser>();
  #badUsers = 0;
  #afterRollback = 0;
  #movedBack = 0;
  #rolledBackMs: number | undefined;

  /** Users who met an error. */
  get badUsers(): number {
    return this.#badUsers;
  }

  /** Requests that were sent after the rollback and still met the canary. */
  get afterRollback(): number {
    return this.#afterRollback;
  }

  /** Users who went from the canary to stable while nothing was rolled back. */
  get movedBack(): number {
    return this.#movedBack;
  }

  rolledBack(nowMs: number): void {
    this.#rolledBackMs ??= nowMs;
  }

  add(user: DemoUser, { version, isRight, startedMs }: Answer): void {
    if (!isRight && !this.#met.has(user)) {
      this.#met.add(user);
      this.#badUsers++;
    }
    const isAfter = this.#rolledBackMs !== undefined && startedMs > this.#rolledBackMs;
    if (version === "canary") {
      if (isAfter) this.#afterRollback++;
      this.#onCanary.add(user);
    } else if (this.#onCanary.delete(user) && this.#rolledBackMs === undefined) this.#movedBack++;
  }
}
