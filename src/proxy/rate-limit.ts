import { createHash } from "node:crypto";
import { canonicalText, type Facts } from "../decide/facts.ts";
import { subscriberOf } from "../decide/ip-address.ts";
import type { RateLimitStats } from "../observe/stats-registry.ts";
import type { RateLimitSpec } from "../route/route-spec.ts";
import { TokenBuckets } from "../upstream/token-bucket.ts";
import type { Refusal } from "./local-reply.ts";

/** The rate limit of one route. */
export class RateLimit {
  readonly #by: RateLimitSpec["by"];
  readonly #buckets: TokenBuckets;
  readonly #stats: RateLimitStats;

  constructor(spec: RateLimitSpec, buckets: TokenBuckets, stats: RateLimitStats) {
    this.#by = spec.by;
    this.#buckets = buckets;
    this.#stats = stats;
  }

  /** Counts a request. Returns the local reply if it is over the limit. `nowMs`: monotonic clock. */
  refuse(facts: Pick<Facts, "attribute" | "clientAddress">, nowMs: number): Refusal | undefined {
    const waitMs = this.#buckets.take(this.#keyOf(facts), nowMs);
    if (waitMs === 0) return undefined;
    this.#stats.rejected.value++;
    return { error: "rate-limited", cause: "route-limit", retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) };
  }

  /** The key that a request is counted by, for explanations. */
  describe(facts: Pick<Facts, "attribute" | "clientAddress">): string {
    const value = this.#by.kind === "attribute" ? facts.attribute(this.#by.index) : undefined;
    if (value !== undefined) return JSON.stringify(canonicalText(value));
    const address = facts.clientAddress?.text ?? "an unknown address";
    return address.includes(":") ? `the /64 of ${address}` : address;
  }

  #keyOf(facts: Pick<Facts, "attribute" | "clientAddress">): string {
    if (this.#by.kind === "attribute") {
      const value = facts.attribute(this.#by.index);
      if (value !== undefined) return `=${shortened(canonicalText(value))}`;
    }
    // A request without the attribute must not bypass the limit.
    return facts.clientAddress === undefined ? "" : subscriberOf(facts.clientAddress);
  }
}

/** Longer values are stored as a digest: a client chooses their length. */
const maxKeyLength = 64;

function shortened(text: string): string {
  return text.length > maxKeyLength ? createHash("sha256").update(text).digest("base64url") : text;
}

/** Keeps token buckets across reloads, so that a reload resets no limit. */
export class RateLimitRegistry {
  #buckets: ReadonlyMap<string, TokenBuckets> = new Map();

  /** Starts the next generation. Nothing changes until its `commit`. */
  next(): RateLimitGeneration {
    const next = new Map<string, TokenBuckets>();
    return {
      buckets: (route, { by, requests, perMs, burst }) => {
        // A changed limit or key starts with full buckets.
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
