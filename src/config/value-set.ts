import type { ValueList } from "../decide/condition.ts";
import { type AttributeValue, canonicalText } from "../decide/facts.ts";

/** A set that grows is copied at times; of half a million texts that would hold the event loop. */
const shardCount = 64;

/** Compares canonical forms, so that `v4.2` in the file matches a client's `4.2.0`. */
export class ValueSet implements ValueList {
  readonly path: string;
  /** Equal for lists that were read from the same bytes in the same way. */
  readonly key: string;
  readonly #shards: readonly Set<string>[] = Array.from({ length: shardCount }, () => new Set<string>());

  constructor(path: string, key: string) {
    this.path = path;
    this.key = key;
  }

  /** The list of this path and key, while anything uses it: two copies of a long list would cost twice the memory. */
  static inUse(path: string, key: string): ValueSet | undefined {
    return used.get(nameOf(path, key))?.deref();
  }

  /** A canonical text. */
  add(text: string): void {
    this.#shardOf(text)?.add(text);
  }

  /** No text is added from now on. */
  complete(): this {
    for (const [name, list] of used) if (list.deref() === undefined) used.delete(name);
    used.set(nameOf(this.path, this.key), new WeakRef(this));
    return Object.freeze(this);
  }

  has(value: AttributeValue): boolean {
    const text = canonicalText(value);
    return this.#shardOf(text)?.has(text) ?? false;
  }

  *values(): Iterable<string> {
    for (const shard of this.#shards) yield* shard;
  }

  /** By the last characters, in which the lines of a list differ the most. */
  #shardOf(text: string): Set<string> | undefined {
    const { length } = text;
    const last = length > 0 ? text.charCodeAt(length - 1) : 0;
    const before = length > 1 ? text.charCodeAt(length - 2) : 0;
    return this.#shards[(31 * before + last + length) % shardCount];
  }
}

const nameOf = (path: string, key: string): string => `${key} ${path}`;

const used = new Map<string, WeakRef<ValueSet>>();
