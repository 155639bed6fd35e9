import { Problems } from "../schema-kit/diagnostics.ts";
import { ParseContext, type Schema } from "../schema-kit/schema.ts";
import { type ConfigNode, SourceText } from "../schema-kit/tree.ts";

/** Whether the text is a valid value of this kind in a configuration. */
export function accepts(schema: Schema<unknown>, text: string): boolean {
  return problemWith(schema, text) === undefined;
}

/** The first problem with a value of a configuration; undefined if there is none. */
export function problemWith(schema: Schema<unknown>, value: unknown): string | undefined {
  const problems = new Problems(new SourceText("", ""));
  schema.read(nodeOf(value), new ParseContext(problems));
  return problems.diagnostics().find(({ severity }) => severity === "error")?.message;
}

const span = { start: 0, end: 0 };

function nodeOf(value: unknown): ConfigNode {
  if (Array.isArray(value)) return { kind: "list", span, items: value.map(nodeOf) };
  if (typeof value !== "object" || value === null) {
    return { kind: "scalar", span, text: String(value), plain: typeof value !== "string", replaced: true };
  }
  const entries = Object.entries(value).map(([key, one]) => ({ key, keySpan: span, value: nodeOf(one) }));
  return { kind: "map", span, entries };
}
