import type { SharedBuckets, TokenStore, TokenStoreGeneration, TokenStores } from "../proxy/token-store.ts";
import type { TokenStoreSpec } from "../route/route-spec.ts";
import type { RandomFraction, Schedule } from "../upstream/clock.ts";
import type { TokenRate } from "../upstream/token-bucket.ts";
import { RedisConnection } from "./redis-connection.ts";
import { rateArguments } from "./take-token.ts";

/** What is told of a Redis server. */
export interface RedisEvents {
  connected(spec: TokenStoreSpec): void;
  disconnected(spec: TokenStoreSpec): void;
  /** It no longer answers, or did not from the start. Called once for each outage. */
  away(spec: TokenStoreSpec, why: string): void;
  /** It answers after an outage. */
  back(spec: TokenStoreSpec): void;
}

export interface RedisParts {
  readonly events: RedisEvents;
  readonly monotonicMs: () => number;
  readonly schedule: Schedule;
  readonly randomFraction: RandomFraction;
}

/** Redis servers by their settings, each with one connection in this thread. */
export class RedisStores implements TokenStores {
  readonly #parts: RedisParts;
  #current: ReadonlyMap<string, RedisStore> = new Map();

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  next(): TokenStoreGeneration {
    const previous = this.#current;
    const kept = new Map<string, RedisStore>();
    return {
      store: (spec) => {
        const { digest } = spec;
        const store = kept.get(digest) ?? previous.get(digest) ?? new RedisStore(spec, this.#parts);
        kept.set(digest, store);
        return store;
      },
      commit: () => {
        this.#current = kept;
        for (const [digest, store] of kept) if (!previous.has(digest)) store.open();
        for (const [digest, store] of previous) if (!kept.has(digest)) store.close();
      },
    };
  }

  /** Resolves once each server has answered, or its first connection has failed. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#current.values(), ({ firstAttempt }) => firstAttempt));
  }

  close(): void {
    for (const store of this.#current.values()) store.close();
    this.#current = new Map();
  }
}

/** The waits between connections: doubled after each failure, and drawn from the upper half. */
const retryMs = { initial: 100, max: 5_000 };
/** A connection that lasted for so long ends a series of failures. */
const stableMs = 10_000;

/** One Redis server: connected, or being connected again. */
class RedisStore implements TokenStore {
  readonly #spec: TokenStoreSpec;
  readonly #parts: RedisParts;
  readonly #closing = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  #connection: RedisConnection | undefined;
  #connectedAtMs = 0;
  #failures = 0;
  #isAway = false;
  #cancelRetry: (() => void) | undefined;

  constructor(spec: TokenStoreSpec, parts: RedisParts) {
    this.#spec = spec;
    this.#parts = parts;
  }

  get firstAttempt(): Promise<void> {
    return this.#first.promise;
  }

  buckets(name: string, rate: TokenRate): SharedBuckets {
    const start = `${this.#spec.prefix}:limit:${name}:`;
    const parameters = rateArguments(rate);
    return {
      take: (requester, answered) => this.#connection?.take(start + requester, parameters, answered) === true,
    };
  }

  open(): void {
    void this.#connect().finally(this.#first.resolve);
  }

  close(): void {
    this.#closing.abort();
    this.#cancelRetry?.();
    if (this.#connection === undefined) return;
    this.#connection.close();
    this.#connection = undefined;
    this.#parts.events.disconnected(this.#spec);
  }

  async #connect(): Promise<void> {
    const { monotonicMs, schedule, events } = this.#parts;
    const { signal } = this.#closing;
    const onLost = (why: string) => this.#lost(why);
    try {
      const connection = await RedisConnection.open({ spec: this.#spec, monotonicMs, schedule, onLost }, signal);
      if (signal.aborted) {
        connection.close();
        return;
      }
      this.#connection = connection;
      this.#connectedAtMs = monotonicMs();
      events.connected(this.#spec);
      if (this.#isAway) events.back(this.#spec);
      this.#isAway = false;
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    }
  }

  #lost(why: string): void {
    const { monotonicMs, schedule, randomFraction, events } = this.#parts;
    if (this.#closing.signal.aborted) return;
    if (this.#connection !== undefined) {
      this.#connection = undefined;
      events.disconnected(this.#spec);
      if (monotonicMs() - this.#connectedAtMs >= stableMs) this.#failures = 0;
    }
    if (!this.#isAway) events.away(this.#spec, why);
    this.#isAway = true;
    const waitMs = Math.min(retryMs.initial * 2 ** this.#failures++, retryMs.max);
    this.#cancelRetry = schedule(waitMs * (1 - randomFraction() / 2), () => void this.#connect());
  }
}
