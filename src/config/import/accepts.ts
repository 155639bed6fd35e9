import { Problems } from "../schema-kit/diagnostics.ts";
import { plainNode } from "../schema-kit/plain-node.ts";
import { ParseContext, type Schema } from "../schema-kit/schema.ts";
import { SourceText } from "../schema-kit/tree.ts";

/** Whether the text is a valid value of this kind in a configuration. */
export function accepts(schema: Schema<unknown>, text: string): boolean {
  return problemWith(schema, text) === undefined;
}

/** The first problem with a value of a configuration; undefined if there is none. */
export function problemWith(schema: Schema<unknown>, value: unknown): string | undefined {
  const problems = new Problems(new SourceText("", ""));
  schema.read(plainNode(value), new ParseContext(problems));
  return problems.diagnostics().find(({ severity }) => severity === "error")?.message;
}
