/**
 * A bounded memory of values by a text key, in two generations: when the young one is full it becomes the old one, and
 * what the old one held is forgotten unless it was asked for again meanwhile. A look-up costs one or two map reads, and
 * hostile variety costs bounded memory.
 *
 * The key is taken from the value, never from the text that was looked up: that one may be a slice of a request's head,
 * and V8 keeps the whole head alive for a slice of it.
 */
export class BoundedCache<Value> {
  readonly #limit: number;
  readonly #keyOf: (value: Value) => string;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /** `limit` is the size of one generation; twice as many values may be held. */
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

/** What was verified, with the text that it was verified by. */
interface Verified {
  readonly text: string;
}

/** Places in which a text may lie. */
const ways = 8;
/** Characters at a text's end that say where it lies: 42 bits of a signature. */
const tailLength = 7;

/**
 * A bounded memory of texts that end in a signature. A signature is as good as random, so its end says where a text is to be
 * found: nothing has to be hashed, and nobody who can not sign can choose a place. Each place is one of eight in its set,
 * and what comes takes the one that was taken longest ago (a set-associative cache). Measured at 10,000 texts, a look-up
 * takes half the time of a Map's, for which the engine would cut, hash and keep a string of its own.
 */
export class SignatureCache<Value extends Verified> {
  readonly #maxSets: number;
  /** Always a power of two. Few at first: most of ten thousand releases are idle. */
  #sets = 1;
  #held = 0;
  #tails = new Int32Array(ways);
  #values = emptyPlaces<Value>(ways);
  /** Of each set, the place to be taken next. */
  #next = new Uint8Array(1);

  /** Holds at most so many values, rounded up to a power of two. */
  constructor(limit: number) {
    this.#maxSets = 2 ** Math.max(0, Math.ceil(Math.log2(limit / ways)));
  }

  /** How many are held. */
  get size(): number {
    return this.#held;
  }

  get(text: string): Value | undefined {
    const tail = tailOf(text);
    const first = (tail & (this.#sets - 1)) * ways;
    for (let place = first; place < first + ways; place++) {
      if (this.#tails[place] !== tail) continue;
      const value = this.#values[place];
      if (value?.text === text) return value;
    }
    return undefined;
  }

  /** What is not held yet. Its text must be a copy of its own: a slice of a request's head would keep that head alive. */
  add(value: Value): void {
    // Half empty, so that one set in fifty is too full at most.
    if (this.#held * 2 >= this.#values.length && this.#sets < this.#maxSets) this.#grow();
    const tail = tailOf(value.text);
    const set = tail & (this.#sets - 1);
    const way = this.#next[set] as number;
    const place = set * ways + way;
    if (this.#values[place] === undefined) this.#held++;
    this.#next[set] = (way + 1) % ways;
    this.#tails[place] = tail;
    this.#values[place] = value;
  }

  #grow(): void {
    const before = this.#values;
    this.#sets *= 2;
    this.#held = 0;
    this.#tails = new Int32Array(this.#sets * ways);
    this.#values = emptyPlaces(this.#sets * ways);
    this.#next = new Uint8Array(this.#sets);
    for (const value of before) if (value !== undefined) this.add(value);
  }
}

function emptyPlaces<Value>(count: number): (Value | undefined)[] {
  return new Array<Value | undefined>(count).fill(undefined);
}

/** The last character but one and those before it: the very last holds two bits only. */
function tailOf(text: string): number {
  let tail = 0;
  for (let at = text.length - 1 - tailLength; at < text.length - 1; at++) {
    tail = (Math.imul(tail, 67) + text.charCodeAt(at)) | 0;
  }
  return tail ^ (tail >>> 15);
}
