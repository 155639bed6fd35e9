import {
  type Definitions,
  INVALID,
  type Infer,
  type Invalid,
  type Json,
  type JsonSchema,
  type ParseContext,
  type Schema,
} from "./schema.ts";
import { type ConfigNode, quote } from "./tree.ts";

/**
 * One entry of a map with free keys. A list of entries keeps file order; an object would move integer keys to the
 * front.
 */
export interface Entry<T> {
  readonly name: string;
  readonly value: T;
}

export interface ListSpec {
  /** The plural of the items, for messages: `endpoints`. */
  readonly of: string;
  readonly min?: number;
  readonly max?: number;
}

/** A list. Invalid items are left out, so that the others are still checked. */
export function list<T>(item: Schema<T>, spec: ListSpec): Schema<readonly T[]> {
  const { of, min = 0, max = Number.POSITIVE_INFINITY } = spec;
  return {
    read(node, parsing) {
      if (node.kind !== "list") return parsing.wrongType(node, `a list of ${of}`);
      if (node.items.length === 0 && min > 0)
        return parsing.error(node.span, "bad-value", `the list of ${of} is empty`);
      if (node.items.length < min || node.items.length > max) {
        return parsing.error(
          node.span,
          "bad-value",
          `expected ${min === max ? min : `${min} to ${max}`} ${of}, found ${node.items.length}`,
        );
      }
      const values: T[] = [];
      for (const part of node.items) {
        const value = item.read(part, parsing);
        if (value !== INVALID) values.push(value);
        // Scalars are located by their index, which a gap would shift, so the whole list is then invalid.
        else if (part.kind !== "map") return readRest(node.items, part, item, parsing);
      }
      return parsing.register(values, node);
    },
    json: (definitions) => ({ type: "array", items: item.json(definitions), ...bounds(min, max, "Items") }),
  };
}

function readRest(
  items: readonly ConfigNode[],
  from: ConfigNode,
  item: Schema<unknown>,
  parsing: ParseContext,
): Invalid {
  for (const part of items.slice(items.indexOf(from) + 1)) item.read(part, parsing);
  return INVALID;
}

/** A single value, or a list of at least one. */
export function oneOrMore<T>(item: Schema<T>, of: string): Schema<readonly T[]> {
  const several = list(item, { of, min: 1 });
  return {
    read(node, parsing) {
      if (node.kind === "list") return several.read(node, parsing);
      const value = item.read(node, parsing);
      return value === INVALID ? INVALID : parsing.register([value], node);
    },
    json: (definitions) => ({ anyOf: [item.json(definitions), several.json(definitions)] }),
  };
}

export interface MapSpec<T> {
  /** The plural of the entries, for messages: `services`. */
  readonly of: string;
  readonly min?: number;
  /** Replaces an invalid value, so that its name is still checked. Default: the entry is left out. */
  readonly standIn?: T;
}

/** A map from names to values, in file order. */
export function mapOf<T>(
  key: Schema<string>,
  value: Schema<T>,
  spec: MapSpec<NoInfer<T>>,
): Schema<readonly Entry<T>[]> {
  const { of, min = 0 } = spec;
  return {
    read(node, parsing) {
      if (node.kind !== "map") return parsing.wrongType(node, `a map of ${of}`);
      if (node.entries.length < min) {
        return parsing.error(node.span, "bad-value", `the map of ${of} is empty`);
      }
      const entries: Entry<T>[] = [];
      const seen = new Set<string>();
      for (const { key: written, keySpan, value: part } of node.entries) {
        const name = key.read({ kind: "scalar", span: keySpan, text: written, plain: true, replaced: false }, parsing);
        const read = value.read(part, parsing);
        const member = read === INVALID ? spec.standIn : read;
        if (name === INVALID) continue;
        if (seen.has(name)) {
          const message = `duplicate key ${quote(written)}: ${quote(name)} already exists with different letter case`;
          parsing.error(keySpan, "duplicate-key", message);
        }
        seen.add(name);
        if (member !== undefined) entries.push(parsing.register({ name, value: member }, part, keySpan));
      }
      return parsing.register(entries, node);
    },
    json: (definitions) => ({
      type: "object",
      propertyNames: keyJson(key, definitions),
      additionalProperties: value.json(definitions),
      ...bounds(min, Number.POSITIVE_INFINITY, "Properties"),
    }),
  };
}

/** Keys are always strings, and `${ENV}` in them is not replaced. */
function keyJson(key: Schema<string>, definitions: Definitions): JsonSchema {
  const json = key.json(definitions);
  const plain = Array.isArray(json["anyOf"]) ? (json["anyOf"][0] as JsonSchema) : json;
  return { ...plain, type: "string" };
}

function bounds(min: number, max: number, what: "Items" | "Properties"): JsonSchema {
  const found: Record<string, Json> = {};
  if (min > 0) found[`min${what}`] = min;
  if (max !== Number.POSITIVE_INFINITY) found[`max${what}`] = max;
  return found;
}

interface Shapes {
  readonly scalar: Schema<unknown>;
  readonly list?: Schema<unknown>;
  readonly map?: Schema<unknown>;
}

/** A value that may be written as a scalar, a list or a map, each with its own schema. */
export function byShape<S extends Shapes>(wanted: string, shapes: S): Schema<Infer<S[keyof S]>> {
  return {
    read(node, parsing) {
      if (node.kind === "refused") return INVALID;
      const schema = node.kind === "nothing" ? undefined : shapes[node.kind];
      if (schema === undefined) return parsing.wrongType(node, wanted);
      return schema.read(node, parsing) as Infer<S[keyof S]> | Invalid;
    },
    json(definitions) {
      const known = [shapes.scalar, shapes.list, shapes.map].filter((shape) => shape !== undefined);
      return { anyOf: known.map((shape) => shape.json(definitions)) };
    },
  };
}

/** A schema that becomes a named definition in the JSON Schema, so that it may be recursive. */
export function named<T>(name: string, schema: () => Schema<T>): Schema<T> {
  let made: Schema<T> | undefined;
  const resolve = (): Schema<T> => {
    made ??= schema();
    return made;
  };
  return {
    read: (node, parsing) => resolve().read(node, parsing),
    json: (definitions) => definitions.refer(name, () => resolve().json(definitions)),
  };
}
