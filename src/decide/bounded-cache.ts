/**
 * A bounded cache by string key, in two generations: when the young one is full it becomes the old one, and entries of
 * the previous old one that were not looked up again are dropped. A look-up costs one or two map reads, and clients
 * that send ever new keys cost bounded memory.
 *
 * The key is taken from the value, never from the string that was looked up: that may be a slice of a request's head,
 * and V8 keeps the whole head alive for a slice of it.
 */
export class BoundedCache<Value> {
  readonly #limit: number;
  readonly #keyOf: (value: Value) => string;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /** `limit` is the size of one generation; up to twice as many values are held. */
  constructor(limit: number, keyOf: (value: Value) => string) {
    this.#limit = limit;
    this.#keyOf = keyOf;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): Value | undefined {
    const recent = this.#young.get(key);
    if (recent !== undefined) return recent;
    const older = this.#old.get(key);
    if (older === undefined) return undefined;
    this.#old.delete(key);
    this.add(older);
    return older;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  add(value: Value): void {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(this.#keyOf(value), value);
  }
}

interface Verified {
  /** The signed text, which is the key. */
  readonly text: string;
}

/** Slots per set. */
const ways = 8;
/** Characters of the signature that select the set: 42 bits. */
const tailLength = 7;

/**
 * A bounded set-associative cache of texts that end in a signature; each set replaces its oldest entry first. A
 * signature is as good as random, so its last characters serve as the hash, and a client that cannot sign cannot aim at
 * a set. Measured at 10,000 texts, a look-up takes half the time of a Map's, for which V8 would slice, hash and intern
 * a string.
 */
export class SignatureCache<Value extends Verified> {
  readonly #maxSets: number;
  /** A power of two. Starts small: of ten thousand releases most are idle. */
  #sets = 1;
  #held = 0;
  #tails = new Int32Array(ways);
  #values = emptySlots<Value>(ways);
  /** By set: the way to be written next. */
  #next = new Uint8Array(1);

  /** `limit` is the maximum number of values, rounded up to a power of two. */
  constructor(limit: number) {
    this.#maxSets = 2 ** Math.max(0, Math.ceil(Math.log2(limit / ways)));
  }

  get size(): number {
    return this.#held;
  }

  get(text: string): Value | undefined {
    const tail = tailOf(text);
    const first = (tail & (this.#sets - 1)) * ways;
    for (let slot = first; slot < first + ways; slot++) {
      if (this.#tails[slot] !== tail) continue;
      const value = this.#values[slot];
      if (value?.text === text) return value;
    }
    return undefined;
  }

  /**
   * The value must not be cached yet, and its text must be a copy: a slice of a request's head keeps the head alive.
   */
  add(value: Value): void {
    // At half load at most one set in fifty overflows.
    if (this.#held * 2 >= this.#values.length && this.#sets < this.#maxSets) this.#grow();
    const tail = tailOf(value.text);
    const set = tail & (this.#sets - 1);
    const way = this.#next[set] as number;
    const slot = set * ways + way;
    if (this.#values[slot] === undefined) this.#held++;
    this.#next[set] = (way + 1) % ways;
    this.#tails[slot] = tail;
    this.#values[slot] = value;
  }

  #grow(): void {
    const before = this.#values;
    this.#sets *= 2;
    this.#held = 0;
    this.#tails = new Int32Array(this.#sets * ways);
    this.#values = emptySlots(this.#sets * ways);
    this.#next = new Uint8Array(this.#sets);
    for (const value of before) if (value !== undefined) this.add(value);
  }
}

function emptySlots<Value>(count: number): (Value | undefined)[] {
  return new Array<Value | undefined>(count).fill(undefined);
}

/** Excludes the last character, which carries only two bits. */
function tailOf(text: string): number {
  let tail = 0;
  for (let at = text.length - 1 - tailLength; at < text.length - 1; at++) {
    tail = (Math.imul(tail, 67) + text.charCodeAt(at)) | 0;
  }
  return tail ^ (tail >>> 15);
}
