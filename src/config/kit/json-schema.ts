/** A value as JSON writes it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A JSON Schema, or a part of one: the keywords of draft 2020-12 that draft 7 and the editors that speak it know too. */
export type JsonSchema = { readonly [keyword: string]: Json };

/** Parts that are referred to by name; a schema registers itself here, once, when it is first met. */
export class Definitions {
  readonly #found = new Map<string, JsonSchema>();

  refer(name: string, describe: () => JsonSchema): JsonSchema {
    if (!this.#found.has(name)) {
      // Taken before it is known, so that a schema that contains itself ends.
      this.#found.set(name, {});
      this.#found.set(name, describe());
    }
    return { $ref: `#/$defs/${name}` };
  }

  all(): JsonSchema {
    return Object.fromEntries([...this.#found].sort(([one], [other]) => (one < other ? -1 : 1)));
  }
}

/** Any text with `${`: what it will be is known only where the environment is. */
export function environmentText(definitions: Definitions): JsonSchema {
  return definitions.refer("environment", () => ({
    type: "string",
    pattern: "\\$\\{[A-Z_][A-Z0-9_]*(:-[^}]*)?\\}",
    description: "A text that names environment variables; they are replaced when the file is loaded.",
  }));
}
