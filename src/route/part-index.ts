/** What `find` looks for: a value under the text of some part of a longer text. */
interface Entry<V> {
  readonly text: string;
  readonly value: V;
  /** The next entry of the same hash. */
  readonly next: Entry<V> | undefined;
}

/**
 * Values under texts, found by a hash of a part of a longer text that the caller carries along as it reads: so neither a
 * substring is cut nor a string hashed for each part that is tried. The texts are the configuration's, never a client's:
 * nobody outside can make them collide.
 */
export class PartIndex<V> {
  readonly #entries = new Map<number, Entry<V>>();
  readonly #direction: "forwards" | "backwards";
  #longest = 0;

  /** `direction`: which way hashes are carried along, over prefixes or over suffixes. */
  constructor(direction: "forwards" | "backwards") {
    this.#direction = direction;
  }

  /** Length of the longest text; 0 where there is none. */
  get longest(): number {
    return this.#longest;
  }

  /** The value under this text, made where there is none yet. */
  at(text: string, make: () => V): V {
    let hash = emptyHash;
    for (let at = 0; at < text.length; at++) {
      hash = extendHash(hash, text.charCodeAt(this.#direction === "forwards" ? at : text.length - 1 - at));
    }
    const known = this.find(text, 0, text.length, hash);
    if (known !== undefined) return known;
    const value = make();
    this.#entries.set(hash, { text, value, next: this.#entries.get(hash) });
    this.#longest = Math.max(this.#longest, text.length);
    return value;
  }

  /** The value under the part of `whole` from `start` to before `end`, whose hash this is. */
  find(whole: string, start: number, end: number, hash: number): V | undefined {
    for (let entry = this.#entries.get(hash); entry !== undefined; entry = entry.next) {
      if (entry.text.length === end - start && whole.startsWith(entry.text, start)) return entry.value;
    }
    return undefined;
  }
}

/** The hash of no characters, FNV-1a's offset basis. */
export const emptyHash = 0x811c9dc5 | 0;

/** FNV-1a by UTF-16 code units. */
export function extendHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}
