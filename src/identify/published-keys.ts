import type { VerifyingKey } from "./jwt-keys.ts";
import type { PublishedKeys } from "./jwt-verifier.ts";

/** Whoever fetches keys. Called as configurations come and go, never by a request but for `missed`. */
export interface KeyFetching {
  begin(keys: PublishedKeySet): void;
  /** A token named a key that is not among them. */
  missed(keys: PublishedKeySet): void;
  end(keys: PublishedKeySet): void;
}

/** Where nobody fetches: a command that reads a file and ends. */
export const noFetching: KeyFetching = Object.freeze({ begin: ignore, missed: ignore, end: ignore });

function ignore(): void {}

/** The keys published at one address, as they were last fetched. None until they first were. */
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

/** Keys by address, shared by successive snapshots: a reload that leaves an address in place leaves its keys too. */
export class PublishedKeyRegistry {
  readonly #fetching: KeyFetching;
  #current: ReadonlyMap<string, PublishedKeySet> = new Map();

  constructor(fetching: KeyFetching) {
    this.#fetching = fetching;
  }

  /** Starts the next generation. Nothing is fetched until its `commit`; left uncommitted, it leaves no trace. */
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
