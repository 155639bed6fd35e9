import type { VerifyingKey } from "./jwt-keys.ts";
import type { PublishedKeys } from "./jwt-verifier.ts";

/** Fetches published key sets. Only `missed` is called on the request path. */
export interface KeyFetching {
  /** A configuration uses these keys from now on. */
  begin(keys: PublishedKeySet): void;
  /** No key fitted a token. */
  missed(keys: PublishedKeySet): void;
  /** No configuration uses these keys any more. */
  end(keys: PublishedKeySet): void;
}

/** For commands that read a configuration and exit: fetches nothing. */
export const noFetching: KeyFetching = Object.freeze({ begin: ignore, missed: ignore, end: ignore });

function ignore(): void {}

/** The keys published at one address, as last fetched. Empty until the first fetch succeeds. */
export class PublishedKeySet implements PublishedKeys {
  readonly url: string;
  readonly #fetching: KeyFetching;
  #keys: readonly VerifyingKey[] = [];
  #generation = 0;

  constructor(url: string, fetching: KeyFetching) {
    this.url = url;
    this.#fetching = fetching;
  }

  get keys(): readonly VerifyingKey[] {
    return this.#keys;
  }

  get generation(): number {
    return this.#generation;
  }

  replace(keys: readonly VerifyingKey[]): void {
    this.#keys = keys;
    this.#generation++;
  }

  missed(): void {
    this.#fetching.missed(this);
  }
}

/** Key sets by address. Successive snapshots share them, so a reload keeps the keys that were fetched already. */
export class PublishedKeyRegistry {
  readonly #fetching: KeyFetching;
  #current: ReadonlyMap<string, PublishedKeySet> = new Map();

  constructor(fetching: KeyFetching) {
    this.#fetching = fetching;
  }

  /** Starts the next generation. Fetching starts and ends with its `commit`; one that is never committed has no effect. */
  next(): PublishedKeyGeneration {
    const previous = this.#current;
    const kept = new Map<string, PublishedKeySet>();
    return {
      keysAt: (url) => {
        const known = kept.get(url) ?? previous.get(url) ?? new PublishedKeySet(url, this.#fetching);
        kept.set(url, known);
        return known;
      },
      commit: () => {
        this.#current = kept;
        for (const [url, keys] of kept) if (!previous.has(url)) this.#fetching.begin(keys);
        for (const [url, keys] of previous) if (!kept.has(url)) this.#fetching.end(keys);
      },
    };
  }
}

export interface PublishedKeyGeneration {
  keysAt(url: string): PublishedKeys;
  commit(): void;
}
