/**
 * A bounded memory of values by a text key, in two generations: when the young one is full it becomes the old one, and
 * what the old one held is forgotten unless it was asked for again meanwhile. A look-up costs one or two map reads, and
 * hostile variety costs bounded memory.
 *
 * The key is taken from the value, never from the text that was looked up: that one may be a slice of a request's head,
 * and V8 keeps the whole head alive for a slice of it.
 */
export class RecentMap<Value> {
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
