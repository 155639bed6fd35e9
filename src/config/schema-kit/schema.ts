import type { DiagnosticCode, DiagnosticInput, Problems } from "./diagnostics.ts";
import { didYouMean } from "./suggest.ts";
import { type ConfigNode, describeNode, quote, type Span } from "./tree.ts";

/** Answered where a value could not be read; its problem is reported by then. */
export const INVALID: unique symbol = Symbol("broken");
export type Invalid = typeof INVALID;

/**
 * What a value may be. One definition gives the TypeScript type (by inference), the reading with its problems and
 * defaults, and the JSON Schema for editors.
 */
export interface Schema<T> {
  read(node: ConfigNode, parsing: ParseContext): T | Invalid;
  json(definitions: Definitions): JsonSchema;
}

export type Infer<S> = S extends Schema<infer T> ? T : never;

/** Steps from a value into its parts: keys of maps and indices of lists, as they are written in the file. */
export type Steps = readonly (string | number)[];

/** One reading of one file: its problems, and where each value that was read stands. */
export class ParseContext {
  readonly problems: Problems;
  readonly #places = new WeakMap<object, { readonly node: ConfigNode; readonly keySpan: Span | undefined }>();

  constructor(problems: Problems) {
    this.problems = problems;
  }

  /** Remembers where a value stands, so that checks that come later can point at it. */
  register<T extends object>(value: T, node: ConfigNode, keySpan?: Span): T {
    this.#places.set(value, { node, keySpan });
    return value;
  }

  /** Where a part of a value stands: the nearest known place if it is not in the file (as a default is not). */
  spanOf(value: object, ...steps: Steps): Span {
    const place = this.#places.get(value);
    if (place === undefined) return { start: 0, end: 0 };
    let node = place.node;
    for (const step of steps) {
      const next = childOf(node, step);
      if (next === undefined) break;
      node = next;
    }
    return node.span;
  }

  /** Where a key of a value stands, or the value's own name in the map that holds it. */
  keySpanOf(value: object, key?: string): Span {
    const place = this.#places.get(value);
    if (place === undefined) return { start: 0, end: 0 };
    if (key === undefined) return place.keySpan ?? place.node.span;
    const entry = place.node.kind === "map" ? place.node.entries.find((one) => one.key === key) : undefined;
    return entry?.keySpan ?? place.node.span;
  }

  /**
   * The names that the file gives in this map, whether their values could be read or not: a reference to one of them is
   * no second problem. Undefined where something else than a map stands there, so that any name may have been meant.
   */
  namesIn(value: object, key: string): ReadonlySet<string> | undefined {
    const node = this.#places.get(value)?.node;
    const map = node === undefined ? undefined : childOf(node, key);
    if (map === undefined) return new Set();
    return map.kind === "map" ? new Set(map.entries.map((entry) => entry.key)) : undefined;
  }

  /** Whether the file has this key here. */
  has(value: object, key: string): boolean {
    const node = this.#places.get(value)?.node;
    return node !== undefined && childOf(node, key) !== undefined;
  }

  /** Whether parts of this map or list were left out, since they are broken. */
  lacksParts(value: readonly unknown[]): boolean {
    const node = this.#places.get(value)?.node;
    if (node?.kind === "map") return node.entries.length > value.length;
    return node?.kind === "list" && node.items.length > value.length;
  }

  error(span: Span, code: DiagnosticCode, message: string, suggestion?: string): Invalid {
    this.problems.error(span, { code, message, suggestion });
    return INVALID;
  }

  warn(span: Span, code: DiagnosticCode, message: string, suggestion?: string): void {
    this.problems.warn(span, { code, message, suggestion });
  }

  /** `unknown version "canry"`, with the name that was probably meant. */
  unknownName(span: Span, what: string, name: string, known: Iterable<string>): Invalid {
    const all = [...known];
    const few = all.length > 0 && all.length <= 8 ? `known are ${all.join(", ")}` : undefined;
    return this.error(span, "unknown-name", `unknown ${what} ${quote(name)}`, didYouMean(name, all) ?? few);
  }

  wrongType(node: ConfigNode, wanted: string): Invalid {
    if (node.kind === "refused") return INVALID;
    if (node.kind === "nothing") {
      const message = `expected ${wanted}, found nothing`;
      return this.error(node.span, "missing-value", message, "write a value, or leave the key out");
    }
    const unquote = node.kind === "scalar" && !node.plain ? "remove the quotes" : undefined;
    const after = node.kind === "scalar" && node.replaced ? " (by an environment variable)" : "";
    return this.error(node.span, "wrong-type", `expected ${wanted}, found ${describeNode(node)}${after}`, unquote);
  }

  complain(span: Span, complaint: DiagnosticInput): Invalid {
    this.problems.error(span, complaint);
    return INVALID;
  }
}

function childOf(node: ConfigNode, step: string | number): ConfigNode | undefined {
  if (node.kind === "map") return node.entries.find((entry) => entry.key === step)?.value;
  if (node.kind === "list" && typeof step === "number") return node.items[step];
  return undefined;
}

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
