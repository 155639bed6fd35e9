import type { AttributeType } from "../decide/facts.ts";

/** The attributes of a configuration, as conditions refer to them. */
export class KnownAttributes {
  /** All names in the file; undefined where they can not be told. */
  readonly names: ReadonlySet<string> | undefined;
  readonly #found = new Map<string, { readonly index: number; readonly type: AttributeType }>();
  readonly #used = new Set<string>();

  constructor(
    names: ReadonlySet<string> | undefined,
    attributes: readonly { readonly name: string; readonly type: AttributeType }[],
  ) {
    this.names = names;
    for (const [index, { name, type }] of attributes.entries()) this.#found.set(name, { index, type });
  }

  /** Looks an attribute up for a condition or a unit, which makes it used. */
  use(name: string): { readonly index: number; readonly type: AttributeType } | undefined {
    this.#used.add(name);
    return this.#found.get(name);
  }

  isUsed(name: string): boolean {
    return this.#used.has(name);
  }
}
