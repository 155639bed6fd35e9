/** Retries allowed each second whatever the traffic: a share of few requests would be none. */
const floorPerSecond = 3;
/** Allowance that was not needed is kept up to so many retries, so that a sudden failure finds some. */
const maxSaved = 100;

/**
 * How many retries a service may cause: a share of its requests, and a few more. Without it an overloaded service would be
 * sent several times what it can not bear already.
 */
export class RetryBudget {
  /** Of the requests, 0 to 1. */
  share: number;
  #saved = 0;
  #floor = floorPerSecond;
  #floorAtMs = 0;

  constructor(share: number) {
    this.share = share;
  }

  /** A request began. */
  earn(): void {
    this.#saved = Math.min(maxSaved, this.#saved + this.share);
  }

  /** Takes what one retry costs. False where it is not there. */
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
