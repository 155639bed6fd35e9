import { createHash } from "node:crypto";
import { canonicalText, type Facts } from "../decide/facts.ts";
import type { Address } from "../decide/ip-address.ts";
import type { RateLimitStats } from "../observe/stats-registry.ts";
import type { RateLimitSpec } from "../route/route-spec.ts";
import type { Refusal } from "./local-reply.ts";

/** Longer values are remembered by their digest: a client chooses how long they are. */
const maxName = 64;

/** The limit of one route. */
export class RateLimit {
  readonly #by: RateLimitSpec["by"];
  readonly #buckets: TokenBuckets;
  readonly #stats: RateLimitStats;

  constructor(spec: RateLimitSpec, buckets: TokenBuckets, stats: RateLimitStats) {
    this.#by = spec.by;
    this.#buckets = buckets;
    this.#stats = stats;
  }

  /** Counts a request; what it is answered where it is one too many. `nowMs` is of a monotonic clock. */
  refuse(facts: Pick<Facts, "attribute" | "clientAddress">, nowMs: number): Refusal | undefined {
    const waitMs = this.#buckets.take(this.#nameOf(facts), nowMs);
    if (waitMs === 0) return undefined;
    this.#stats.rejected.value++;
    return { error: "rate-limited", status: 429, retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) };
  }

  /** As whom a request counts, for people. */
  describe(facts: Pick<Facts, "attribute" | "clientAddress">): string {
    const value = this.#by.kind === "attribute" ? facts.attribute(this.#by.index) : undefined;
    if (value !== undefined) return JSON.stringify(canonicalText(value));
    const address = facts.clientAddress?.text ?? "an unknown address";
    return address.includes(":") ? `the /64 of ${address}` : address;
  }

  #nameOf(facts: Pick<Facts, "attribute" | "clientAddress">): string {
    if (this.#by.kind === "attribute") {
      const value = facts.attribute(this.#by.index);
      if (value !== undefined) return `=${shortened(canonicalText(value))}`;
    }
    // Whoever leaves the attribute out must not go free.
    return addressName(facts.clientAddress);
  }
}

/** One subscriber has at least a /64 of IPv6, and may take a new address of it for each request. */
function addressName(address: Address | undefined): string {
  if (address === undefined) return "";
  const [first, second] = address.words;
  return address.text.includes(":") ? `${first}:${second}` : address.text;
}

function shortened(text: string): string {
  return text.length > maxName ? createHash("sha256").update(text).digest("base64url") : text;
}

/** What limits know of requesters, from snapshot to snapshot: a reload gives nobody a fresh bucket. */
export class RateLimitRegistry {
  #buckets: ReadonlyMap<string, TokenBuckets> = new Map();

  /** Starts the next generation. Nothing changes until its `commit`; left uncommitted it leaves no trace. */
  next(): RateLimitGeneration {
    const next = new Map<string, TokenBuckets>();
    return {
      buckets: (route, { by, requests, perMs, burst }) => {
        // Another limit, or other requesters, are counted from the start.
        const key = [route, by.kind === "attribute" ? `=${by.name}` : "", requests, perMs, burst].join(" ");
        const buckets = this.#buckets.get(key) ?? new TokenBuckets({ requests, perMs, burst });
        next.set(key, buckets);
        return buckets;
      },
      commit: () => {
        this.#buckets = next;
      },
    };
  }
}

export interface RateLimitGeneration {
  buckets(route: string, spec: RateLimitSpec): TokenBuckets;
  commit(): void;
}

/** Requesters that are remembered at a time, by default. */
const maxRemembered = 65_536;
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
 * A token bucket for each of many requesters, in one number each: when its bucket will be full (the generic counter rate
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

  constructor({ requests, perMs, burst }: TokenRate, most: number = maxRemembered) {
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
