import { Problems } from "../schema-kit/diagnostics.ts";
import { INVALID, ParseContext, type Schema } from "../schema-kit/schema.ts";
import { SourceText } from "../schema-kit/tree.ts";

/** Whether the text is a valid value of this kind in a configuration. */
export function accepts(schema: Schema<unknown>, text: string): boolean {
  const parsing = new ParseContext(new Problems(new SourceText("", text)));
  const span = { start: 0, end: text.length };
  return schema.read({ kind: "scalar", span, text, plain: false, replaced: false }, parsing) !== INVALID;
}
