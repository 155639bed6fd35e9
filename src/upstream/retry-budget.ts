import { TokenBucket } from "./token-bucket.ts";

/** Retries allowed each second whatever the traffic: a share of few requests would be none. */
const minPerSecond = { requests: 3, perMs: 1_000, burst: 3 };
/** Allowance that was not needed is kept up to so many retries, so that a sudden failure finds some. */
const maxSaved = 100;

/**
 * Bounds the retries of a service to a share of its requests, and a few more. Without it an overloaded service would be
 * sent a multiple of the load that it cannot serve already.
 */
export class RetryBudget {
  /** Of the requests, 0 to 1. */
  share: number;
  #saved = 0;
  readonly #minimum = new TokenBucket(minPerSecond);

  constructor(share: number) {
    this.share = share;
  }

  /** A request began. */
  earn(): void {
    this.#saved = Math.min(maxSaved, this.#saved + this.share);
  }

  /** Takes the cost of one retry; false where the budget is used up. `nowMs` is of any clock that only goes forward. */
  spend(nowMs: number): boolean {
    if (this.#saved < 1) return this.#minimum.take(nowMs);
    this.#saved--;
    return true;
  }
}
