import type { DiagnosticCode, DiagnosticInput, Problems } from "./diagnostics.ts";
import { didYouMean } from "./suggest.ts";
import { type ConfigNode, describeNode, quote, type Span } from "./tree.ts";

/** Returned for a value that could not be read; its problem is then already reported. */
export const INVALID: unique symbol = Symbol("invalid");
export type Invalid = typeof INVALID;

/**
 * The definition of a value. It provides the TypeScript type (by inference), the parser with problems and defaults, and
 * the JSON Schema for editors.
 */
export interface Schema<T> {
  read(node: ConfigNode, parsing: ParseContext): T | Invalid;
  json(definitions: Definitions): JsonSchema;
}

export type Infer<S> = S extends Schema<infer T> ? T : never;

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A JSON Schema or a part of one. Uses only keywords of draft 2020-12 that draft 7 has too, for older editors. */
export type JsonSchema = { readonly [keyword: string]: Json };

/** A path into a value: keys of maps and indices of lists, as written in the file. */
export type Steps = readonly (string | number)[];

/** The state of parsing one file: its problems, and the location of each value. */
export class ParseContext {
  readonly problems: Problems;
  readonly #locations = new WeakMap<object, { readonly node: ConfigNode; readonly keySpan: Span | undefined }>();

  constructor(problems: Problems) {
    this.problems = problems;
  }

  /** Records the location of a value, so that later checks can point at it. */
  register<T extends object>(value: T, node: ConfigNode, keySpan?: Span): T {
    this.#locations.set(value, { node, keySpan });
    return value;
  }

  /** The location of a part of a value; the nearest enclosing one if the part is not in the file, such as a default. */
  spanOf(value: object, ...steps: Steps): Span {
    const location = this.#locations.get(value);
    if (location === undefined) return { start: 0, end: 0 };
    let node = location.node;
    for (const step of steps) {
      const next = childOf(node, step);
      if (next === undefined) break;
      node = next;
    }
    return node.span;
  }

  /** The location of a key of a value, or without `key` of the value's own key in the map that contains it. */
  keySpanOf(value: object, key?: string): Span {
    const location = this.#locations.get(value);
    if (location === undefined) return { start: 0, end: 0 };
    if (key === undefined) return location.keySpan ?? location.node.span;
    const entry = location.node.kind === "map" ? location.node.entries.find((one) => one.key === key) : undefined;
    return entry?.keySpan ?? location.node.span;
  }

  /**
   * All names in a map of the file, including those with invalid values, so that references to these are not reported
   * as well. Undefined if the key does not hold a map, since then any name may be right.
   */
  namesIn(value: object, key: string): ReadonlySet<string> | undefined {
    const node = this.#locations.get(value)?.node;
    const map = node === undefined ? undefined : childOf(node, key);
    if (map === undefined) return new Set();
    return map.kind === "map" ? new Set(map.entries.map((entry) => entry.key)) : undefined;
  }

  /** Whether the file sets this key. */
  has(value: object, key: string): boolean {
    const node = this.#locations.get(value)?.node;
    return node !== undefined && childOf(node, key) !== undefined;
  }

  /** Whether invalid parts of this map or list were left out. */
  lacksParts(value: readonly unknown[]): boolean {
    const node = this.#locations.get(value)?.node;
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

  /** Reports `unknown version "canry"`, with the probable name. */
  unknownName(span: Span, what: string, name: string, known: Iterable<string>): Invalid {
    const all = [...known];
    const few = all.length > 0 && all.length <= 8 ? `known: ${all.join(", ")}` : undefined;
    return this.error(span, "unknown-name", `unknown ${what} ${quote(name)}`, didYouMean(name, all) ?? few);
  }

  wrongType(node: ConfigNode, wanted: string): Invalid {
    if (node.kind === "refused") return INVALID;
    const dashed = this.problems.source.text[node.span.start] === "-";
    if (node.kind === "nothing") {
      const message = `expected ${wanted}, found nothing`;
      return this.error(node.span, "missing-value", message, `add a value, or remove the ${dashed ? '"-"' : "key"}`);
    }
    const unquote = node.kind === "scalar" && !node.plain ? "remove the quotes" : undefined;
    const undash = node.kind === "list" && dashed ? 'remove the "-" in front of the keys' : undefined;
    const after = node.kind === "scalar" && node.replaced ? " (from an environment variable)" : "";
    return this.error(
      node.span,
      "wrong-type",
      `expected ${wanted}, found ${describeNode(node)}${after}`,
      unquote ?? undash,
    );
  }

  report(span: Span, problem: DiagnosticInput): Invalid {
    this.problems.error(span, problem);
    return INVALID;
  }
}

function childOf(node: ConfigNode, step: string | number): ConfigNode | undefined {
  if (node.kind === "map") return node.entries.find((entry) => entry.key === step)?.value;
  if (node.kind === "list" && typeof step === "number") return node.items[step];
  return undefined;
}

/** Named definitions (`$defs`). A schema registers itself when it is first used. */
export class Definitions {
  readonly #found = new Map<string, JsonSchema>();

  refer(name: string, describe: () => JsonSchema): JsonSchema {
    if (!this.#found.has(name)) {
      // Reserved first, so that a recursive schema terminates.
      this.#found.set(name, {});
      this.#found.set(name, describe());
    }
    return { $ref: `#/$defs/${name}` };
  }

  all(): JsonSchema {
    return Object.fromEntries([...this.#found].sort(([one], [other]) => (one < other ? -1 : 1)));
  }
}

/** Any string with `${…}`: editors do not know its value. */
export function environmentText(definitions: Definitions): JsonSchema {
  return definitions.refer("environment", () => ({
    type: "string",
    pattern: "\\$\\{[A-Z_][A-Z0-9_]*(:-[^}]*)?\\}",
    description: "A string with environment variables, which are replaced when the file is loaded.",
  }));
}
