/** Retries allowed per second regardless of traffic: a share of few requests would be none. */
const floorPerSecond = 3;
/** Maximum number of unused retries to save up for a sudden failure. */
const maxSaved = 100;

/**
 * Limits a service's retries to a share of its requests, plus a few per second. Without it, retries would multiply the
 * load of a service that is already overloaded.
 */
export class RetryBudget {
  /** Retries as a share of requests, 0 to 1. */
  share: number;
  #saved = 0;
  #floor = floorPerSecond;
  #floorAtMs = 0;

  constructor(share: number) {
    this.share = share;
  }

  /** Called for each request. */
  earn(): void {
    this.#saved = Math.min(maxSaved, this.#saved + this.share);
  }

  /** Takes one retry from the budget; false if it is used up. */
  spend(nowMs: number): boolean {
    const seconds = Math.max(0, nowMs - this.#floorAtMs) / 1_000;
    this.#floor = Math.min(floorPerSecond, this.#floor + seconds * floorPerSecond);
    this.#floorAtMs = nowMs;
    if (this.#saved >= 1) this.#saved--;
    else if (this.#floor >= 1) this.#floor--;
    else return false;
    return true;
  }
}
