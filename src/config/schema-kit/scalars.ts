import type { DiagnosticInput } from "./diagnostics.ts";
import { type Definitions, environmentText, type Json, type JsonSchema, type Schema } from "./schema.ts";
import { didYouMean } from "./suggest.ts";
import { quote } from "./tree.ts";

/** The result of a scalar's parser if the text is not such a value. */
export class ParseError {
  readonly problem: DiagnosticInput;

  constructor(message: string, suggestion?: string, code: DiagnosticInput["code"] = "bad-value", hidesText = false) {
    this.problem = { code, message, suggestion, hidesText };
  }

  /** Of a text that may have a secret in it. */
  static ofSecret(message: string, suggestion?: string): ParseError {
    return new ParseError(message, suggestion, "bad-value", true);
  }
}

export interface ScalarSpec<T> {
  /** For messages, with its article: `a duration such as 30s`. */
  readonly what: string;
  /** Gets the scalar's text as written in the file, with `${ENV}` replaced. */
  readonly parse: (text: string) => T | ParseError;
  /** The JSON Schema of the value. Strings with `${ENV}` are allowed in addition. */
  readonly json: JsonSchema;
  /** For numbers and booleans: a quoted scalar is rejected, unless its text contains a variable. */
  readonly unquotedOnly?: boolean;
}

export function scalar<T>(spec: ScalarSpec<T>): Schema<T> {
  return {
    read(node, parsing) {
      if (node.kind !== "scalar") return parsing.wrongType(node, spec.what);
      if (spec.unquotedOnly === true && !node.plain && !node.replaced) return parsing.wrongType(node, spec.what);
      const value = spec.parse(node.text);
      return value instanceof ParseError ? parsing.report(node.span, value.problem) : value;
    },
    json: (definitions) => withEnvironment(spec.json, definitions),
  };
}

function withEnvironment(json: JsonSchema, definitions: Definitions): JsonSchema {
  // A string without a pattern accepts `${ENV}` anyway.
  if (json["type"] !== undefined && json["pattern"] === undefined && [json["type"]].flat().includes("string"))
    return json;
  return { anyOf: [json, environmentText(definitions)] };
}

const control = /\p{Cc}/u;

export interface TextSpec {
  /** For messages: `a file's path`. */
  readonly what?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Anchored; in the subset that RegExp (with u) and JSON Schema share. */
  readonly pattern?: RegExp;
  /** The pattern in words. */
  readonly rule?: string;
  /** What is wrong with a text that fits the rest; JSON Schema does not know of it. */
  readonly problemOf?: (text: string) => string | undefined;
}

/**
 * A string. Numbers and booleans are accepted as written. Control characters are rejected in all strings, since some of
 * them end up in headers and logs.
 */
export function text(spec: TextSpec = {}): Schema<string> {
  const { what = "a string", minLength = 0, maxLength = 4_096, pattern, rule, problemOf } = spec;
  const parse = (value: string): string | ParseError => {
    if (control.test(value)) return new ParseError(`${quote(value)} contains a control character`);
    if (value.length < minLength) return new ParseError(`expected ${what}, found an empty string`);
    if (value.length > maxLength) return new ParseError(`${quote(value)} is longer than ${maxLength} characters`);
    if (pattern !== undefined && !pattern.test(value)) {
      return new ParseError(`${quote(value)} is not ${what}${rule === undefined ? "" : `: ${rule}`}`);
    }
    const problem = problemOf?.(value);
    return problem === undefined ? value : new ParseError(problem);
  };
  const bounds: Record<string, Json> = { maxLength };
  if (minLength > 0) bounds["minLength"] = minLength;
  const json =
    pattern === undefined
      ? { type: ["string", "number", "boolean"], ...bounds }
      : { type: ["string", "number", "boolean"], ...bounds, pattern: pattern.source };
  return scalar({ what, parse, json });
}

const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

export interface NumberSpec {
  readonly what?: string;
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
}

export function number(spec: NumberSpec): Schema<number> {
  const { min, max, integer = false } = spec;
  const what = spec.what ?? (integer ? "a whole number" : "a number");
  const parse = (written: string): number | ParseError => {
    const value = decimal.test(written) ? Number(written) : Number.NaN;
    if (!Number.isFinite(value))
      return new ParseError(`expected ${what}, found ${quote(written)}`, undefined, "wrong-type");
    if (integer && !Number.isInteger(value)) return new ParseError(`${written} is not a whole number`);
    if (value < min) return new ParseError(`${written} is too small: the minimum is ${min}`);
    return value > max ? new ParseError(`${written} is too large: the maximum is ${max}`) : value;
  };
  return scalar({
    what,
    parse,
    json: { type: integer ? "integer" : "number", minimum: min, maximum: max },
    unquotedOnly: true,
  });
}

const booleans = new Map([
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
]);

export function boolean(): Schema<boolean> {
  const parse = (written: string): boolean | ParseError =>
    booleans.get(written) ?? new ParseError(`expected true or false, found ${quote(written)}`, undefined, "wrong-type");
  return scalar({ what: "true or false", parse, json: { type: "boolean" }, unquotedOnly: true });
}

/** One of a few words. `also` maps alternative spellings to them, such as `true` to `always`. */
export function oneOf<const T extends string>(words: readonly T[], also: Readonly<Record<string, T>> = {}): Schema<T> {
  const list = words.length === 1 ? `${words[0]}` : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  const byText = new Map<string, T>([...words.map((word) => [word, word] as const), ...Object.entries(also)]);
  const parse = (written: string): T | ParseError =>
    byText.get(written) ?? new ParseError(`expected ${list}, found ${quote(written)}`, didYouMean(written, words));
  const written = Object.keys(also).map((word) => booleans.get(word) ?? word);
  return scalar({ what: list, parse, json: { enum: [...words, ...written] } });
}

const millisecondsOf: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const durationText = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const durationPart = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** Parses `500ms`, `30s`, `1h30m`, `7d` to milliseconds; units must descend. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (text.length > 40 || !durationText.test(text)) return undefined;
  let total = 0;
  let lastUnit = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(durationPart)) {
    const unitMs = millisecondsOf[unit ?? ""] ?? 0;
    if (unitMs >= lastUnit) return undefined;
    lastUnit = unitMs;
    total += Number(count) * unitMs;
  }
  return Math.round(total);
}

/** Formats milliseconds as a duration, in the largest unit that divides them evenly. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    const unitMs = millisecondsOf[unit] ?? 1;
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}

/** A duration within bounds. The value is in milliseconds. */
export function duration(bounds: { readonly minMs: number; readonly maxMs: number }): Schema<number> {
  const what = "a duration such as 30s";
  const parse = (written: string): number | ParseError => {
    const ms = parseDuration(written);
    if (ms === undefined) {
      const suggestion = /^\d+(?:\.\d+)?$/.test(written)
        ? `add a unit, as in ${written}s`
        : "the units are ms, s, m, h, d";
      return new ParseError(`${quote(written)} is not a duration`, suggestion);
    }
    if (ms >= bounds.minMs && ms <= bounds.maxMs) return ms;
    return new ParseError(
      `${written} is not between ${formatDuration(bounds.minMs)} and ${formatDuration(bounds.maxMs)}`,
    );
  };
  return scalar({ what, parse, json: { type: "string", pattern: durationText.source } });
}

const bytesOf: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};
const sizeText = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|KB|MB|GB)?$/;

/** Parses `64KiB`, `10MiB`, or a plain number of bytes. Undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const parts = text.length > 40 ? null : sizeText.exec(text);
  if (parts === null) return undefined;
  const bytes = Number(parts[1]) * (bytesOf[parts[2] ?? ""] ?? 1);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A size within bounds. The value is in bytes. */
export function size(bounds: { readonly min: number; readonly max: number }): Schema<number> {
  const parse = (written: string): number | ParseError => {
    const bytes = parseSize(written);
    if (bytes === undefined) {
      return new ParseError(`${quote(written)} is not a size`, "write it as in 64KiB or 10MiB");
    }
    if (bytes >= bounds.min && bytes <= bounds.max) return bytes;
    return new ParseError(`${written} is not between ${bounds.min} and ${bounds.max} bytes`);
  };
  const json = {
    anyOf: [
      { type: "string", pattern: sizeText.source },
      { type: "integer", minimum: 0 },
    ],
  };
  return scalar({ what: "a size such as 64KiB", parse, json });
}
