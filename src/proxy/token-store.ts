import type { TokenStoreSpec } from "../route/route-spec.ts";
import type { TokenRate } from "../upstream/token-bucket.ts";

/** What a store said of a bucket. */
export interface BucketState {
  readonly isTaken: boolean;
  /** How long after the answer, in milliseconds, the bucket will be full. */
  readonly fullInMs: number;
}

/** Token buckets, one for each requester, that several processes take from. */
export interface SharedBuckets {
  /**
   * Asks for a token. Returns false, and never calls back, if there is nobody to ask now. Otherwise calls back once, in a
   * later event: with undefined if there was no answer in time.
   */
  take(requester: string, answered: (state: BucketState | undefined) => void): boolean;
}

/** One place where several processes count. */
export interface TokenStore {
  /** `name`: processes that use the same one, with the same rate, count together. */
  buckets(name: string, rate: TokenRate): SharedBuckets;
}

/** The stores of successive configurations. A store that the next one has too keeps its connection. */
export interface TokenStores {
  /** Starts the next generation. Stores open and close with its `commit`; one that is never committed has no effect. */
  next(): TokenStoreGeneration;
}

export interface TokenStoreGeneration {
  store(spec: TokenStoreSpec): TokenStore;
  commit(): void;
}

/** For whatever serves no requests: it asks nobody, so each process counts by itself. */
export const noTokenStores: TokenStores = Object.freeze({
  next: () => ({ store: () => ({ buckets: () => ({ take: () => false }) }), commit() {} }),
});

/** As it is shown to people: `host:port`. */
export function storeName({ host, port }: Pick<TokenStoreSpec, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
