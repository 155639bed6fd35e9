import type { Reading } from "./kit/schema.ts";
import type { Span } from "./kit/source-text.ts";
import { quote } from "./kit/tree.ts";
import type { PropagateConfig } from "./release-schema.ts";
import type { Config } from "./schema.ts";

/**
 * A header that says which version was assigned is read in one way, whichever release looks at it, and is no tester's
 * header: that one never goes upstream.
 */
export function checkPropagationHeaders({ releases }: Config, reading: Reading): void {
  const formats = new Map<string, { readonly release: string; readonly format: string }>();
  for (const { name: release, value } of releases) {
    if (value.propagate === undefined) continue;
    const { name, format, span } = headerOf(value.propagate, reading);
    const first = formats.get(name);
    if (first !== undefined && first.format !== format) {
      const message = `release ${first.release} reads ${quote(name)} as format ${first.format}; a header has one format`;
      reading.error(span, "conflicting-keys", message);
    }
    if (first === undefined) formats.set(name, { release, format });
    const override = releases.find((other) => other.value.override?.header === name);
    if (override === undefined) continue;
    const message = `${quote(name)} is the override's header of release ${override.name}, which never goes upstream`;
    reading.error(span, "duplicate-name", message, "give one of them another name");
  }
}

function headerOf(
  propagate: PropagateConfig,
  reading: Reading,
): { readonly name: string; readonly format: string; readonly span: Span } {
  const { header } = propagate;
  if (typeof header === "string") {
    return { name: header, format: "releases", span: reading.spanOf(propagate, "header") };
  }
  return { name: header.name, format: header.format, span: reading.spanOf(header, "name") };
}
