/** A JSON Schema (2020-12), or a reference to one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export const text = { type: "string" };
export const number = { type: "number" };
export const flag = { type: "boolean" };
export const count = { type: "integer", minimum: 0 };
export const share = { type: "number", minimum: 0, maximum: 1 };
export const time = { type: "string", format: "date-time" };
export const weights = { type: "object", additionalProperties: { type: "number", minimum: 0 } };

export const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: "null" }] });
export const listOf = (items: JsonSchema): JsonSchema => ({ type: "array", items });
export const oneOf = (...values: readonly string[]): JsonSchema => ({ enum: values });
export const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

/** An object that always has all of these and nothing else. */
export function record(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: "object", additionalProperties: false, required: Object.keys(properties), properties };
}

/** An array that has exactly these. */
export function tuple(...items: readonly JsonSchema[]): JsonSchema {
  return { type: "array", prefixItems: items, items: false, minItems: items.length };
}

/** An object whose names are not known before. */
export const mapOf = (each: JsonSchema): JsonSchema => ({ type: "object", additionalProperties: each });
