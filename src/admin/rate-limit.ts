export interface RateLimitSpec {
  readonly perSecond: number;
  /** So many at once, where a caller was silent before. */
  readonly burst: number;
  /** Callers remembered; of more, the one first seen is forgotten. */
  readonly callers: number;
}

interface Bucket {
  left: number;
  atMs: number;
}

/** A token bucket for each caller, in bounded memory. */
export class RateLimit {
  readonly #spec: RateLimitSpec;
  readonly #buckets = new Map<string, Bucket>();

  constructor(spec: RateLimitSpec) {
    this.#spec = spec;
  }

  /** Whether one more request of this caller may be served now; `nowMs` is any clock that only goes forward. */
  allows(caller: string, nowMs: number): boolean {
    const bucket = this.#bucketOf(caller, nowMs);
    const { perSecond, burst } = this.#spec;
    bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = nowMs;
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }

  #bucketOf(caller: string, nowMs: number): Bucket {
    const known = this.#buckets.get(caller);
    if (known !== undefined) return known;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined && this.#buckets.size >= this.#spec.callers) this.#buckets.delete(oldest);
    const bucket = { left: this.#spec.burst, atMs: nowMs };
    this.#buckets.set(caller, bucket);
    return bucket;
  }
}
