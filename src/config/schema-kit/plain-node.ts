import { type ConfigNode, nowhere } from "./tree.ts";

const span = nowhere;

/** A value that stands in no file, as a part of a configuration. Texts may be of any type, as after `${ENV}`. */
export function plainNode(value: unknown): ConfigNode {
  if (Array.isArray(value)) return { kind: "list", span, items: value.map(plainNode) };
  if (typeof value !== "object" || value === null) {
    return { kind: "scalar", span, text: String(value), plain: typeof value !== "string", replaced: true };
  }
  const entries = Object.entries(value).map(([key, one]) => ({ key, keySpan: span, value: plainNode(one) }));
  return { kind: "map", span, entries };
}
