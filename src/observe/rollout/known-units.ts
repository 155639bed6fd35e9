/** Slots of one generation: a power of two. */
const slots = 2 ** 16;
/** Beyond this, probes would become long. */
const fullAt = slots * 0.75;
/** Words of a slot: the two of the unit, its state, and its bad answers. A quarter of a cache line. */
const slotWords = 4;
const stateWord = 2;
const badWord = 3;

interface Generation {
  readonly words: Int32Array;
  size: number;
}

/**
 * What is known of units, in bounded memory (2 MiB): two numbers for each. Open addressing in two generations: when the
 * young one is full, it becomes the old one, and the units not seen since are forgotten. So at least the
 * 49,152 units seen last are known.
 */
export class KnownUnits {
  readonly #seed: number;
  #young: Generation = { words: new Int32Array(slots * slotWords), size: 0 };
  #old: Generation = { words: new Int32Array(slots * slotWords), size: 0 };

  /** `seed`: any 32-bit integer that clients do not know, or they could choose units that share a slot. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** The place of a unit, valid until the next call. The state of one that is not known is 0, and must be set. */
  find(hi: number, lo: number): number {
    const hash = this.#hash(hi, lo);
    const at = placeIn(this.#young.words, hash, hi, lo);
    return this.#young.words[at + stateWord] === 0 ? this.#add(hash, hi, lo, at) : at;
  }

  stateAt(place: number): number {
    return this.#young.words[place + stateWord] ?? 0;
  }

  badAt(place: number): number {
    return this.#young.words[place + badWord] ?? 0;
  }

  /** `state` must not be 0. */
  set(place: number, state: number, bad: number): void {
    const { words } = this.#young;
    words[place + stateWord] = state;
    words[place + badWord] = bad;
  }

  #add(hash: number, hi: number, lo: number, free: number): number {
    let at = free;
    if (this.#young.size >= fullAt) {
      const emptied = this.#old;
      this.#old = this.#young;
      this.#young = emptied;
      emptied.words.fill(0);
      emptied.size = 0;
      at = placeIn(emptied.words, hash, hi, lo);
    }
    const { words } = this.#young;
    const old = placeIn(this.#old.words, hash, hi, lo);
    words[at] = hi;
    words[at + 1] = lo;
    words[at + stateWord] = this.#old.words[old + stateWord] ?? 0;
    words[at + badWord] = this.#old.words[old + badWord] ?? 0;
    this.#young.size++;
    return at;
  }

  #hash(hi: number, lo: number): number {
    const mixed = Math.imul(hi ^ this.#seed, 0x9e3779b1);
    const both = Math.imul((mixed ^ (mixed >>> 15)) + lo, 0x85ebca6b);
    return both ^ (both >>> 13);
  }
}

/** Where the unit is, or the free slot where it would be. */
function placeIn(words: Int32Array, hash: number, hi: number, lo: number): number {
  for (let slot = hash & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
    const at = slot * slotWords;
    if (words[at + stateWord] === 0 || (words[at] === hi && words[at + 1] === lo)) return at;
  }
}
