/** A map whose values are not validated. */
export type Loose = Readonly<Record<string, unknown>>;

/**
 * A part of an imported object. It remembers which of its keys were read, so that every other key can be named in a
 * note: no setting is dropped silently. A value of an unexpected type reads as absent, and its key stays unread.
 */
export class SourceObject {
  /** Where it is in its object, as in `http[0].match[1]`; empty for the whole. */
  readonly path: string;
  readonly #value: Loose;
  readonly #read = new Set<string>();
  readonly #parts = new Map<string, readonly SourceObject[]>();

  constructor(value: unknown, path = "") {
    this.path = path;
    this.#value = isMap(value) ? value : {};
  }

  keys(): readonly string[] {
    return Object.keys(this.#value);
  }

  /** Whether the key is set, which does not count as reading it. */
  has(key: string): boolean {
    return this.peek(key) !== undefined;
  }

  /** The value as it is, which does not count as reading it. */
  peek(key: string): unknown {
    return Object.hasOwn(this.#value, key) ? (this.#value[key] ?? undefined) : undefined;
  }

  /** A scalar as a string; empty for anything else. */
  text(key: string): string {
    return this.take(key, (text) => text) ?? "";
  }

  number(key: string): number | undefined {
    return this.take(key, numberIn);
  }

  flag(key: string): boolean | undefined {
    return this.take(key, (text) => (text === "true" || text === "false" ? text === "true" : undefined));
  }

  /** A scalar through `parse`. The key counts as read only if the result is not undefined. */
  take<T>(key: string, parse: (text: string) => T | undefined): T | undefined {
    const value = this.peek(key);
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
    const taken = parse(String(value));
    if (taken !== undefined) this.#read.add(key);
    return taken;
  }

  /** A list of scalars. */
  texts(key: string): readonly string[] {
    const value = this.peek(key);
    if (!Array.isArray(value) || value.some((item) => typeof item === "object")) return [];
    this.#read.add(key);
    return value.map(String);
  }

  /** A map; empty if there is none. What is not read in it is unread in this object. */
  object(key: string): SourceObject {
    const value = this.peek(key);
    if (!isMap(value)) return new SourceObject(undefined, this.#pathOf(key));
    return this.#partsOf(key, () => [new SourceObject(value, this.#pathOf(key))])[0] ?? this;
  }

  /** A list of maps. */
  objects(key: string): readonly SourceObject[] {
    const value = this.peek(key);
    if (!Array.isArray(value) || !value.every(isMap)) return [];
    return this.#partsOf(key, () =>
      value.map((item, index) => new SourceObject(item, `${this.#pathOf(key)}[${index}]`)),
    );
  }

  /** Counts these keys as read, with all that they hold; without keys the whole object. */
  dismiss(...keys: readonly string[]): void {
    for (const key of keys.length === 0 ? this.keys() : keys) {
      this.#parts.delete(key);
      this.#read.add(key);
    }
  }

  /** The paths of everything that was not read. A part of which nothing was read is named as a whole. */
  unread(): readonly string[] {
    return this.keys().flatMap((key) => {
      if (this.#read.has(key) || !this.has(key)) return [];
      const parts = this.#parts.get(key);
      return parts === undefined ? [this.#pathOf(key)] : parts.flatMap((part) => part.#unreadPart());
    });
  }

  #unreadPart(): readonly string[] {
    const untouched = this.#read.size === 0 && this.#parts.size === 0;
    return untouched && this.keys().length > 0 ? [this.path] : this.unread();
  }

  /** The same objects for each reading, so that they share what was read. */
  #partsOf(key: string, create: () => readonly SourceObject[]): readonly SourceObject[] {
    if (this.#read.has(key)) return create();
    const parts = this.#parts.get(key) ?? create();
    this.#parts.set(key, parts);
    return parts;
  }

  #pathOf(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }
}

export function isMap(value: unknown): value is Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberIn(text: string): number | undefined {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : undefined;
}
