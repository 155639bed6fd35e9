import type { Entry } from "./collections.ts";
import { Problems } from "./diagnostics.ts";
import {
  type Definitions,
  INVALID,
  type Invalid,
  type Json,
  type JsonSchema,
  ParseContext,
  type Schema,
} from "./schema.ts";
import { didYouMean, nearest } from "./suggest.ts";
import { type ConfigNode, type MapEntry, type MapNode, quote, SourceText } from "./tree.ts";

/** One key of an object: its description, its schema, and its value if the key is absent. */
export interface Field<T> {
  readonly description: string;
  readonly schema: Schema<T>;
  readonly absent:
    | { readonly kind: "error"; readonly standIn: T | undefined }
    | { readonly kind: "value"; readonly value: T; readonly written: Json | undefined };
}

type FieldsOf<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };
type Fields = Readonly<Record<string, Field<unknown>>>;

/**
 * A required key. If it is absent or invalid, the whole object is invalid, unless there is a `standIn`: then the rest
 * of the object is still checked against the rest of the file.
 */
export function required<T>(description: string, schema: Schema<T>, standIn?: NoInfer<T>): Field<T> {
  return { description, schema, absent: { kind: "error", standIn } };
}

export function optional<T>(description: string, schema: Schema<T>): Field<T | undefined> {
  return { description, schema, absent: { kind: "value", value: undefined, written: undefined } };
}

/** A key with a default, given as it would be written in the file. */
export function defaulted<T>(description: string, schema: Schema<T>, written: Json): Field<T> {
  const problems = new Problems(new SourceText("default", ""));
  const value = schema.read(nodeOf(written), new ParseContext(problems));
  if (value === INVALID) throw new TypeError(`invalid default: ${problems.diagnostics()[0]?.message}`);
  return { description, schema, absent: { kind: "value", value, written } };
}

const nowhere = { start: 0, end: 0 };

function nodeOf(value: Json): ConfigNode {
  if (value === null) return { kind: "nothing", span: nowhere };
  if (Array.isArray(value)) return { kind: "list", span: nowhere, items: value.map(nodeOf) };
  if (typeof value !== "object") {
    return { kind: "scalar", span: nowhere, text: String(value), plain: typeof value !== "string", replaced: false };
  }
  const entries = Object.entries(value).map(([key, part]) => ({ key, keySpan: nowhere, value: nodeOf(part) }));
  return { kind: "map", span: nowhere, entries };
}

export interface ObjectSpec {
  /** For messages, with its article: `a release`. */
  readonly what: string;
  /** Keys of later versions, which get another error message than unknown keys. */
  readonly later?: readonly string[];
  /** Exactly one of these keys is required. */
  readonly exactlyOneOf?: readonly string[];
  /** At least one of these keys is required. */
  readonly atLeastOneOf?: readonly string[];
}

/** A map with fixed keys; any other key is an error. */
export function object<F extends Fields>(fields: F, spec: ObjectSpec): Schema<FieldsOf<F>> {
  const known = Object.keys(fields);
  return {
    read(node, parsing) {
      if (node.kind !== "map") return parsing.wrongType(node, `${spec.what} (a map)`);
      const unknown = node.entries.filter((entry) => !Object.hasOwn(fields, entry.key));
      for (const entry of unknown) refuseKey(entry, known, spec, parsing);
      const values = readFields(node, fields, unknown, spec, parsing);
      return values === INVALID ? INVALID : (parsing.register(values, node) as FieldsOf<F>);
    },
    json: (definitions) => ({ ...fieldsJson(fields, spec, definitions), additionalProperties: false }),
  };
}

/** Like `object`, but other keys are names whose values are read by `rest`. */
export function openObject<F extends Fields, T>(
  fields: F,
  rest: { readonly description: string; readonly schema: Schema<T> },
  spec: ObjectSpec,
): Schema<FieldsOf<F> & { readonly rest: readonly Entry<T>[] }> {
  return {
    read(node, parsing) {
      if (node.kind !== "map") return parsing.wrongType(node, `${spec.what} (a map)`);
      const values = readFields(node, fields, [], spec, parsing);
      const entries: Entry<T>[] = [];
      for (const { key: name, keySpan, value: part } of node.entries) {
        if (Object.hasOwn(fields, name)) continue;
        const value = rest.schema.read(part, parsing);
        if (value !== INVALID) entries.push(parsing.register({ name, value }, part, keySpan));
      }
      if (values === INVALID) return INVALID;
      return parsing.register({ ...values, rest: entries }, node) as FieldsOf<F> & { rest: readonly Entry<T>[] };
    },
    json: (definitions) => ({
      ...fieldsJson(fields, spec, definitions),
      additionalProperties: { description: rest.description, ...rest.schema.json(definitions) },
    }),
  };
}

function readFields(
  node: MapNode,
  fields: Fields,
  unknown: readonly MapEntry[],
  spec: ObjectSpec,
  parsing: ParseContext,
): object | Invalid {
  const written = new Map(node.entries.map((entry) => [entry.key, entry]));
  const values: Record<string, unknown> = {};
  let isComplete = checkCombination(node, written, unknown, spec, parsing);
  for (const [key, field] of Object.entries(fields)) {
    const entry = written.get(key);
    const value = entry === undefined ? INVALID : field.schema.read(entry.value, parsing);
    if (value !== INVALID) {
      values[key] = value;
      continue;
    }
    if (field.absent.kind === "value") values[key] = field.absent.value;
    else if (field.absent.standIn !== undefined) values[key] = field.absent.standIn;
    else isComplete = false;
    if (field.absent.kind === "error" && entry === undefined) reportMissing(key, node, unknown, spec, parsing);
  }
  return isComplete ? values : INVALID;
}

function reportMissing(
  key: string,
  node: MapNode,
  unknown: readonly MapEntry[],
  spec: ObjectSpec,
  parsing: ParseContext,
): void {
  // A misspelt key was already reported, with the right spelling as its suggestion.
  if (unknown.some((entry) => nearest(entry.key, [key]) !== undefined)) return;
  parsing.error(node.span, "missing-key", `${spec.what} needs the key ${quote(key)}`);
}

function refuseKey(entry: MapEntry, known: readonly string[], spec: ObjectSpec, parsing: ParseContext): void {
  const { key, keySpan } = entry;
  if (spec.later?.includes(key) === true) {
    parsing.error(keySpan, "not-supported", `${quote(key)} is not supported by this version of Perch`);
    return;
  }
  const suggestion = didYouMean(key, known) ?? `the keys are ${known.join(", ")}`;
  parsing.error(keySpan, "unknown-key", `unknown key ${quote(key)} in ${spec.what}`, suggestion);
}

function checkCombination(
  node: MapNode,
  written: ReadonlyMap<string, MapEntry>,
  unknown: readonly MapEntry[],
  { what, exactlyOneOf, atLeastOneOf }: ObjectSpec,
  parsing: ParseContext,
): boolean {
  const choice = exactlyOneOf ?? atLeastOneOf;
  if (choice === undefined) return true;
  const found = choice.filter((key) => written.has(key));
  const second = found[1];
  if (exactlyOneOf !== undefined && second !== undefined) {
    const message = `${quote(found[0] ?? "")} and ${quote(second)} cannot be used together in ${what}`;
    parsing.error(written.get(second)?.keySpan ?? node.span, "conflicting-keys", message);
    return false;
  }
  if (found.length > 0) return true;
  // An unknown key, which was already reported, was probably meant to be one of these.
  if (unknown.length === 0) {
    const need = exactlyOneOf === undefined ? "at least one" : "one";
    parsing.error(node.span, "missing-key", `${what} needs ${need} of the keys ${choice.join(", ")}`);
  }
  return false;
}

function fieldsJson(fields: Fields, spec: ObjectSpec, definitions: Definitions): JsonSchema {
  const properties: Record<string, Json> = {};
  const needed: string[] = [];
  for (const [key, { description, schema, absent }] of Object.entries(fields)) {
    const shown = absent.kind === "value" && absent.written !== undefined ? { default: absent.written } : {};
    properties[key] = { description, ...schema.json(definitions), ...shown };
    if (absent.kind === "error") needed.push(key);
  }
  const json: Record<string, Json> = { type: "object", properties };
  if (needed.length > 0) json["required"] = needed;
  const choices = (keys: readonly string[]): Json => keys.map((key) => ({ required: [key] }));
  if (spec.exactlyOneOf !== undefined) json["oneOf"] = choices(spec.exactlyOneOf);
  if (spec.atLeastOneOf !== undefined) json["anyOf"] = choices(spec.atLeastOneOf);
  return json;
}
