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
