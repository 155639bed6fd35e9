import type { Pin } from "./pin-content.ts";

/** Slots per set. */
const ways = 8;
/** Bytes of the signature that select the set: 42 bits. */
const tailLength = 7;

// A slot: the text, then these words, then two doubles (epoch, issued at).
const lengthWord = 0;
/** The kind of the pin, and in bit 2 the source of its unit. */
const kindWord = 1;
const versionWord = 2;
const ruleWord = 3;
const hiWord = 4;
const loWord = 5;
const wordBytes = 6 * 4;
const numberBytes = wordBytes + 2 * 8;
const kinds = ["split", "default", "rule", "ring"] as const satisfies readonly Pin["how"][];
const fromAttribute = 4;

/** Bytes of a pin without its names: numbers, dots, the unit and the signature. */
const otherBytes = 2 + 11 + 13 + 1 + 3 + 12 + 1 + 22;

/**
 * A bounded set-associative table of pins that have verified; each set replaces its oldest entry first. It compares
 * bytes, and holds texts and numbers side by side in one block: of 10,000 users nothing else is in the processor's caches,
 * so what a look-up costs is how many places it visits.
 *
 * A signature is as good as random, so its last bytes serve as the hash, and a client that cannot sign cannot aim at a
 * set.
 */
export class VerifiedPins {
  readonly #textBytes: number;
  readonly #slotBytes: number;
  readonly #maxSets: number;
  /** A power of two. Starts small: of ten thousand releases most are idle. */
  #sets = 1;
  #held = 0;
  #tails = new Int32Array(ways);
  #texts!: Uint8Array;
  #words!: Int32Array;
  #numbers!: Float64Array;
  /** By set: the way to be written next. */
  #next = new Uint8Array(1);
  /** Versions and rules of pins; few, for only what this or another replica has signed gets here. */
  readonly #names: string[] = [];

  /**
   * `limit` is the maximum number of pins, rounded up to a power of two. Pins whose version and rule have together more
   * than `nameBytes` characters are not held.
   */
  constructor(limit: number, nameBytes: number) {
    this.#textBytes = Math.ceil((otherBytes + nameBytes) / 8) * 8;
    this.#slotBytes = this.#textBytes + numberBytes;
    this.#maxSets = 2 ** Math.max(0, Math.ceil(Math.log2(limit / ways)));
    this.#allocate();
  }

  get size(): number {
    return this.#held;
  }

  /** The slot of the pin with this text, -1 if it is not held. */
  find(bytes: Uint8Array, from: number, to: number): number {
    const length = to - from;
    if (length > this.#textBytes || length <= tailLength) return -1;
    const tail = tailOf(bytes, to);
    const first = (tail & (this.#sets - 1)) * ways;
    for (let slot = first; slot < first + ways; slot++) {
      if (this.#tails[slot] === tail && this.#isAt(slot, bytes, from, length)) return slot;
    }
    return -1;
  }

  #isAt(slot: number, bytes: Uint8Array, from: number, length: number): boolean {
    const texts = this.#texts;
    const start = slot * this.#slotBytes;
    if (this.#words[this.#firstWord(slot) + lengthWord] !== length) return false;
    for (let at = 0; at < length; at++) if (texts[start + at] !== bytes[from + at]) return false;
    return true;
  }

  pinAt(slot: number): Pin {
    const words = this.#words;
    const first = this.#firstWord(slot);
    const kind = words[first + kindWord] as number;
    const how = kinds[kind & 3] as Pin["how"];
    const firstNumber = (slot * this.#slotBytes + this.#textBytes + wordBytes) >> 3;
    return {
      epoch: plain(this.#numbers[firstNumber] as number),
      issuedAtSeconds: plain(this.#numbers[firstNumber + 1] as number),
      version: this.#names[words[first + versionWord] as number] as string,
      how,
      rule: how === "rule" || how === "ring" ? this.#names[words[first + ruleWord] as number] : undefined,
      unit: {
        source: (kind & fromAttribute) === 0 ? "random" : "attribute",
        hi: words[first + hiWord] as number,
        lo: words[first + loWord] as number,
      },
    };
  }

  /** The pin's text must have verified, and must not be held yet. */
  add(bytes: Uint8Array, from: number, to: number, pin: Pin): void {
    if (to - from > this.#textBytes) return;
    // At half load at most one set in fifty overflows.
    if (this.#held * 2 >= this.#tails.length && this.#sets < this.#maxSets) this.#grow();
    const slot = this.#slotFor(tailOf(bytes, to));
    this.#texts.set(bytes.subarray(from, to), slot * this.#slotBytes);
    const first = this.#firstWord(slot);
    const { hi, lo, source } = pin.unit;
    this.#words[first + lengthWord] = to - from;
    this.#words[first + kindWord] = kinds.indexOf(pin.how) | (source === "attribute" ? fromAttribute : 0);
    this.#words[first + versionWord] = this.#nameIndex(pin.version);
    this.#words[first + ruleWord] = pin.rule === undefined ? 0 : this.#nameIndex(pin.rule);
    this.#words[first + hiWord] = hi;
    this.#words[first + loWord] = lo;
    const firstNumber = (slot * this.#slotBytes + this.#textBytes + wordBytes) >> 3;
    this.#numbers[firstNumber] = pin.epoch;
    this.#numbers[firstNumber + 1] = pin.issuedAtSeconds;
  }

  #firstWord(slot: number): number {
    return (slot * this.#slotBytes + this.#textBytes) >> 2;
  }

  #nameIndex(name: string): number {
    const known = this.#names.indexOf(name);
    return known >= 0 ? known : this.#names.push(name) - 1;
  }

  #slotFor(tail: number): number {
    const set = tail & (this.#sets - 1);
    const way = this.#next[set] as number;
    const slot = set * ways + way;
    if (this.#words[this.#firstWord(slot) + lengthWord] === 0) this.#held++;
    this.#next[set] = (way + 1) % ways;
    this.#tails[slot] = tail;
    return slot;
  }

  #allocate(): void {
    const slots = this.#sets * ways;
    const block = new ArrayBuffer(slots * this.#slotBytes);
    this.#tails = new Int32Array(slots);
    this.#next = new Uint8Array(this.#sets);
    this.#texts = new Uint8Array(block);
    this.#words = new Int32Array(block);
    this.#numbers = new Float64Array(block);
    this.#held = 0;
  }

  #grow(): void {
    const [tails, texts, words] = [this.#tails, this.#texts, this.#words];
    this.#sets *= 2;
    this.#allocate();
    for (let before = 0; before < tails.length; before++) {
      if (words[this.#firstWord(before) + lengthWord] === 0) continue;
      const slot = this.#slotFor(tails[before] as number);
      const start = before * this.#slotBytes;
      this.#texts.set(texts.subarray(start, start + this.#slotBytes), slot * this.#slotBytes);
    }
  }
}

/** The same number. What fits into 32 bits is not allocated then. */
function plain(number: number): number {
  const word = number | 0;
  return word === number ? word : number;
}

/** Excludes the last character, which carries only two bits. */
function tailOf(bytes: Uint8Array, to: number): number {
  let tail = 0;
  for (let at = to - 1 - tailLength; at < to - 1; at++) tail = (Math.imul(tail, 67) + (bytes[at] as number)) | 0;
  return tail ^ (tail >>> 15);
}
