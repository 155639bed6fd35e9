import { createHash } from "node:crypto";
import { canonicalText, type Facts } from "../decide/facts.ts";
import { subscriberOf } from "../decide/ip-address.ts";
import type { RateLimitStats } from "../observe/stats-registry.ts";
import type { RateLimitSpec } from "../route/route-spec.ts";
import { TokenBuckets } from "../upstream/token-bucket.ts";
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
    // A request without the attribute must not go free.
    return facts.clientAddress === undefined ? "" : subscriberOf(facts.clientAddress);
  }
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
