import { lowerCase, type NameKinds } from "./header-scanner.ts";

const slotCount = 1024;
/** Bounds the memory that clients can make a table use. Below half of the slots, so that probe sequences stay short. */
const maxNames = 400;
/** Of all names together. */
const maxNameBytes = 16 * 1024;

// An entry: four words, so that a look-up visits one line of the processor's cache for it.
const hashWord = 0;
/** Where its name starts among all names. */
const startWord = 1;
const lengthWord = 2;
const kindWord = 3;
const wordsPerEntry = 4;

/**
 * Maps field names to kinds by the hash that the scan computed, so that known names need no string. The kind of a name
 * is cached, for a bounded number of names.
 */
export class HeaderNameTable<Kind extends string> implements NameKinds {
  /** By index. The first is that of fields that pass as they are, most of all. */
  readonly kinds: Kind[];
  readonly #kindOf: (lowerCaseName: string) => Kind;
  /** The number of an entry, from 1; 0 is free. */
  readonly #slots = new Uint16Array(slotCount);
  readonly #entries = new Int32Array((maxNames + 1) * wordsPerEntry);
  /** In lower case, one behind the other. */
  readonly #names = new Uint8Array(maxNameBytes);
  #count = 0;
  #nameBytes = 0;

  constructor(usual: Kind, kindOf: (lowerCaseName: string) => Kind) {
    this.kinds = [usual];
    this.#kindOf = kindOf;
  }

  indexOf(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const entries = this.#entries;
    for (let slot = hash & (slotCount - 1); ; slot = (slot + 1) & (slotCount - 1)) {
      const at = (this.#slots[slot] as number) * wordsPerEntry;
      if (at === 0) return this.#add(slot, hash, Buffer.from(bytes.subarray(start, end)).toString("latin1"));
      if (entries[at + hashWord] !== hash || entries[at + lengthWord] !== end - start) continue;
      if (this.#isNameAt(bytes, start, end, entries[at + startWord] as number)) return entries[at + kindWord] as number;
    }
  }

  #isNameAt(bytes: Uint8Array, start: number, end: number, name: number): boolean {
    const names = this.#names;
    for (let at = start, known = name; at < end; at++, known++) {
      if (lowerCase[bytes[at] as number] !== names[known]) return false;
    }
    return true;
  }

  #add(slot: number, hash: number, name: string): number {
    const lowerCaseName = name.toLowerCase();
    const kind = this.#indexOfKind(this.#kindOf(lowerCaseName));
    if (this.#count === maxNames || this.#nameBytes + name.length > maxNameBytes) return kind;
    this.#count++;
    this.#slots[slot] = this.#count;
    this.#entries.set([hash, this.#nameBytes, name.length, kind], this.#count * wordsPerEntry);
    this.#names.set(Buffer.from(lowerCaseName, "latin1"), this.#nameBytes);
    this.#nameBytes += name.length;
    return kind;
  }

  #indexOfKind(kind: Kind): number {
    const known = this.kinds.indexOf(kind);
    return known >= 0 ? known : this.kinds.push(kind) - 1;
  }
}
