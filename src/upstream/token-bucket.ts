/** A token that is missing only by the rounding of floating-point sums is there. */
const roundingMs = 1e-6;

/** How fast tokens come, and how many a bucket holds. */
export interface TokenRate {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
}

/**
 * The generic cell rate algorithm (ITU-T I.371): a token bucket is one number, the time at which it will be full. Times
 * are milliseconds of one clock; where that is set back, a bucket is at worst empty.
 */
class CellRate {
  readonly #intervalMs: number;
  readonly #capacityMs: number;

  constructor({ requests, perMs, burst }: TokenRate) {
    this.#intervalMs = perMs / requests;
    this.#capacityMs = this.#intervalMs * burst;
  }

  /** When a bucket will be full, as far as `nowMs` allows: neither in the past nor further off than an empty one. */
  fullAt(fullAtMs: number, nowMs: number): number {
    return Math.min(Math.max(fullAtMs, nowMs), nowMs + this.#capacityMs);
  }

  /** After how many milliseconds there is a token in a bucket that `fullAt` gave; 0 or less: now. */
  waitMs(fullAtMs: number, nowMs: number): number {
    return fullAtMs - nowMs - (this.#capacityMs - this.#intervalMs) - roundingMs;
  }

  /** When the bucket will be full once a token has been taken. */
  taken(fullAtMs: number): number {
    return fullAtMs + this.#intervalMs;
  }
}

/** One token bucket. */
export class TokenBucket {
  readonly #rate: CellRate;
  #fullAtMs = 0;

  constructor(rate: TokenRate) {
    this.#rate = new CellRate(rate);
  }

  /** Takes a token; false where there is none. */
  take(nowMs: number): boolean {
    const fullAtMs = this.#rate.fullAt(this.#fullAtMs, nowMs);
    const isThere = this.#rate.waitMs(fullAtMs, nowMs) <= 0;
    this.#fullAtMs = isThere ? this.#rate.taken(fullAtMs) : fullAtMs;
    return isThere;
  }
}

/** Requesters remembered at a time, by default. */
const maxRequesters = 65_536;
/** How many requesters are compared to choose one to forget. */
const evictionCandidates = 16;

/**
 * A token bucket for each of many requesters. A bucket that is full equals none, so only those in use are remembered.
 *
 * Memory is bounded. With more requesters than are remembered, the fullest bucket of a few is dropped: a crowd of new
 * names pushes out others like them, and not those who are over their limit.
 */
export class TokenBuckets {
  readonly #rate: CellRate;
  readonly #max: number;
  readonly #slots = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #fullAtMs: number[] = [];
  #hand = 0;

  constructor(rate: TokenRate, max: number = maxRequesters) {
    this.#rate = new CellRate(rate);
    this.#max = max;
  }

  /** Requesters that are remembered. */
  get size(): number {
    return this.#slots.size;
  }

  /** Takes a token and returns 0; where there is none, returns after how many milliseconds there will be one. */
  take(name: string, nowMs: number): number {
    const slot = this.#slots.get(name) ?? this.#remember(name, nowMs);
    const fullAtMs = this.#rate.fullAt(this.#fullAtMs[slot] ?? 0, nowMs);
    const waitMs = this.#rate.waitMs(fullAtMs, nowMs);
    if (waitMs > 0) return waitMs;
    this.#fullAtMs[slot] = this.#rate.taken(fullAtMs);
    return 0;
  }

  /** After how many milliseconds there will be a token; 0: now. Takes none. */
  waitMs(name: string, nowMs: number): number {
    const slot = this.#slots.get(name);
    if (slot === undefined) return 0;
    return Math.max(0, this.#rate.waitMs(this.#rate.fullAt(this.#fullAtMs[slot] ?? 0, nowMs), nowMs));
  }

  /** Replaces a bucket by one that will be full at this time, as somebody else who counts says. */
  replace(name: string, fullAtMs: number, nowMs: number): void {
    const slot = this.#slots.get(name) ?? this.#remember(name, nowMs);
    this.#fullAtMs[slot] = fullAtMs;
  }

  #remember(name: string, nowMs: number): number {
    const slot = this.#names.length < this.#max ? this.#names.length : this.#evict();
    this.#slots.set(name, slot);
    this.#names[slot] = name;
    this.#fullAtMs[slot] = nowMs;
    return slot;
  }

  #evict(): number {
    let fullest = this.#hand;
    for (let i = 0; i < evictionCandidates; i++) {
      if ((this.#fullAtMs[this.#hand] ?? 0) < (this.#fullAtMs[fullest] ?? 0)) fullest = this.#hand;
      this.#hand = (this.#hand + 1) % this.#max;
    }
    this.#slots.delete(this.#names[fullest] ?? "");
    return fullest;
  }
}
