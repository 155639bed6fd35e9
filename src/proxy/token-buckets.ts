/** Requesters that are remembered at a time, by default. */
const mostRemembered = 65_536;
/** How many of them are looked at for one to forget. */
const looked = 16;
/** A token that is there but for the rounding of sums is there. */
const roundingMs = 1e-6;

/** How fast tokens come, and how many a bucket holds. */
export interface TokenRate {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
}

/**
 * A token bucket for each of many requesters, in one number each: when its bucket will be full (the generic cell rate
 * algorithm, ITU-T I.371). A bucket that is full is as good as none, so that only those in use need to be remembered.
 *
 * Memory is bounded. Where more requesters come than are remembered, of a few the one goes whose bucket is the fullest:
 * a crowd of new names pushes out others like them, and not those who are over their limit.
 */
export class TokenBuckets {
  readonly #intervalMs: number;
  readonly #depthMs: number;
  readonly #most: number;
  readonly #slots = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #fullAtMs: number[] = [];
  #hand = 0;

  constructor({ requests, perMs, burst }: TokenRate, most: number = mostRemembered) {
    this.#intervalMs = perMs / requests;
    this.#depthMs = this.#intervalMs * (burst - 1) + roundingMs;
    this.#most = most;
  }

  /** Requesters that are remembered. */
  get size(): number {
    return this.#slots.size;
  }

  /** Takes a token where there is one: 0. Else nothing changes, and in so many milliseconds there will be one. */
  take(name: string, nowMs: number): number {
    const slot = this.#slots.get(name) ?? this.#remember(name, nowMs);
    const fullAtMs = Math.max(this.#fullAtMs[slot] ?? 0, nowMs);
    const waitMs = fullAtMs - nowMs - this.#depthMs;
    if (waitMs > 0) return waitMs;
    this.#fullAtMs[slot] = fullAtMs + this.#intervalMs;
    return 0;
  }

  #remember(name: string, nowMs: number): number {
    const slot = this.#names.length < this.#most ? this.#names.length : this.#forget();
    this.#slots.set(name, slot);
    this.#names[slot] = name;
    this.#fullAtMs[slot] = nowMs;
    return slot;
  }

  #forget(): number {
    let fullest = this.#hand;
    for (let i = 0; i < looked; i++) {
      if ((this.#fullAtMs[this.#hand] ?? 0) < (this.#fullAtMs[fullest] ?? 0)) fullest = this.#hand;
      this.#hand = (this.#hand + 1) % this.#most;
    }
    this.#slots.delete(this.#names[fullest] ?? "");
    return fullest;
  }
}
