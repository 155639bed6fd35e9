import { createHash } from "node:crypto";
import { canonicalText, type Facts } from "../decide/facts.ts";
import { subscriberOf } from "../decide/ip-address.ts";
import type { RateLimitStats } from "../observe/stats-registry.ts";
import type { RateLimitSpec } from "../route/route-spec.ts";
import { TokenBuckets, type TokenRate } from "../upstream/token-bucket.ts";
import type { Refusal } from "./local-reply.ts";
import { noTokenStores, type SharedBuckets, type TokenStores } from "./token-store.ts";

/** The facts of a request that tell who is limited. */
type RequesterFacts = Pick<Facts, "attribute" | "clientAddress">;

/** What a limit says of a request: the local reply if it is over the limit. */
export type LimitVerdict = Refusal | "passed";

/** Called in the event that brought the answer of the store, or in one of no socket, as there was none in time. */
export type OnLimitVerdict = (verdict: LimitVerdict, event: "answer" | "no answer") => void;

/** The buckets that a limit counts in. */
export interface LimitBuckets {
  /** Of this process. A shared limit keeps in them what it knows of the others. */
  readonly own: TokenBuckets;
  /** Undefined if each process counts by itself. */
  readonly shared: SharedBuckets | undefined;
}

/** The rate limit of one route. */
export class RateLimit {
  readonly #by: RateLimitSpec["by"];
  readonly #rate: TokenRate;
  readonly #own: TokenBuckets;
  readonly #shared: SharedBuckets | undefined;
  readonly #stats: RateLimitStats;

  constructor(spec: RateLimitSpec, { own, shared }: LimitBuckets, stats: RateLimitStats) {
    this.#by = spec.by;
    this.#rate = spec;
    this.#own = own;
    this.#shared = shared;
    this.#stats = stats;
  }

  /** Whether `ask` comes before `refuse`. */
  get isShared(): boolean {
    return this.#shared !== undefined;
  }

  /** Counts a request in this process. Returns the local reply if it is over the limit. `nowMs`: monotonic clock. */
  refuse(facts: RequesterFacts, nowMs: number): Refusal | undefined {
    const waitMs = this.#own.take(this.#keyOf(facts), nowMs);
    return waitMs === 0 ? undefined : this.#refusal(waitMs);
  }

  /**
   * Counts a request together with other processes. `asked`: `onVerdict` is called once, later. A requester who has no
   * token as far as this process knows is refused without asking: only time gives tokens.
   *
   * Without an answer, the request counts in this process.
   */
  ask(facts: RequesterFacts, nowMs: number, onVerdict: OnLimitVerdict): LimitVerdict | "asked" {
    const key = this.#keyOf(facts);
    const waitMs = this.#own.waitMs(key, nowMs);
    if (waitMs > 0) return this.#refusal(waitMs);
    const isAsked = this.#shared?.take(key, (state) => {
      if (state === undefined) {
        onVerdict(this.#countAlone(key, nowMs), "no answer");
        return;
      }
      // The store was asked after `nowMs`, so this errs on the side of a bucket that is fuller.
      this.#own.replace(key, nowMs + state.fullInMs, nowMs);
      onVerdict(state.isTaken ? "passed" : this.#refusal(this.#waitOf(state.fullInMs)), "answer");
    });
    return isAsked === true ? "asked" : this.#countAlone(key, nowMs);
  }

  /** The key that a request is counted by, for explanations. */
  describe(facts: RequesterFacts): string {
    const value = this.#by.kind === "attribute" ? facts.attribute(this.#by.index) : undefined;
    if (value !== undefined) return JSON.stringify(canonicalText(value));
    const address = facts.clientAddress?.text ?? "an unknown address";
    return address.includes(":") ? `the /64 of ${address}` : address;
  }

  /** Nobody else can be asked now. */
  #countAlone(key: string, nowMs: number): LimitVerdict {
    this.#stats.fallbacks.value++;
    const waitMs = this.#own.take(key, nowMs);
    return waitMs === 0 ? "passed" : this.#refusal(waitMs);
  }

  /** After how many milliseconds a bucket will have a token again. */
  #waitOf(fullInMs: number): number {
    const { requests, perMs, burst } = this.#rate;
    return fullInMs - (perMs / requests) * (burst - 1);
  }

  #refusal(waitMs: number): Refusal {
    this.#stats.rejected.value++;
    return { error: "rate-limited", cause: "route-limit", retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) };
  }

  #keyOf(facts: RequesterFacts): string {
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
  readonly #stores: TokenStores;
  #own: ReadonlyMap<string, TokenBuckets> = new Map();

  constructor(stores: TokenStores = noTokenStores) {
    this.#stores = stores;
  }

  /** Starts the next generation. Nothing changes until its `commit`. */
  next(): RateLimitGeneration {
    const next = new Map<string, TokenBuckets>();
    const stores = this.#stores.next();
    return {
      buckets: (route, { by, requests, perMs, burst, shared }) => {
        const rate = { requests, perMs, burst };
        // A changed limit or key starts with full buckets.
        const key = [route, by.kind === "attribute" ? by.name : "", requests, perMs, burst].join(":");
        const own = this.#own.get(key) ?? new TokenBuckets(rate);
        next.set(key, own);
        return { own, shared: shared && stores.store(shared).buckets(key, rate) };
      },
      commit: () => {
        this.#own = next;
        stores.commit();
      },
    };
  }
}

export interface RateLimitGeneration {
  buckets(route: string, spec: RateLimitSpec): LimitBuckets;
  commit(): void;
}
