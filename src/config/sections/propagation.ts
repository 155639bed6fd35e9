import type { PropagationHeader, PropagationSpec } from "../../decide/release-spec.ts";
import { isFramingHeader } from "../../http/header-names.ts";
import type { CompileContext } from "../compile-context.ts";
import type { Entry } from "../schema-kit/collections.ts";
import type { ParseContext } from "../schema-kit/schema.ts";
import { quote, type Span } from "../schema-kit/tree.ts";
import type { PropagateConfig, ReleaseConfig } from "./release.ts";

export function compilePropagation(propagate: PropagateConfig, context: CompileContext): PropagationSpec {
  const { parsing } = context;
  const header = compileHeader(propagate, context);
  const { baggage, acceptFrom } = propagate;
  acceptFrom.forEach((range, index) => {
    if (!range.text.endsWith("/0")) return;
    const message = `${range.text} lets any client choose the version, bypassing rules and weights`;
    parsing.warn(parsing.spanOf(acceptFrom, index), "risky", message, "list only the addresses of your own services");
  });
  return { header, baggage, acceptFrom };
}

function compileHeader(propagate: PropagateConfig, { parsing }: CompileContext): PropagationHeader {
  const { header } = propagate;
  const name = typeof header === "string" ? header : header.name;
  const span = typeof header === "string" ? parsing.spanOf(propagate, "header") : parsing.spanOf(header, "name");
  if (isFramingHeader(name) || name === "baggage" || name === "authorization") {
    const message = `${quote(name)} cannot carry the assigned version: the header has another meaning`;
    parsing.error(span, "bad-value", message);
  }
  if (typeof header === "string") return { name, format: "releases", words: [] };
  const { format } = header;
  const seen = new Map<string, string>();
  const words = header.versions.map((entry) => {
    const { name: version, value: word } = entry;
    const other = seen.get(word);
    if (other !== undefined) {
      const message = `version ${other} is already called ${quote(word)}`;
      parsing.error(parsing.spanOf(header.versions, version), "duplicate-name", message);
    }
    seen.set(word, version);
    return { version, word };
  });
  return { name, format, words };
}

/**
 * A propagation header has one format for all releases. It must not be an override's header, since that is never
 * forwarded.
 */
export function checkPropagationHeaders(releases: readonly Entry<ReleaseConfig>[], parsing: ParseContext): void {
  const formats = new Map<string, { readonly release: string; readonly format: string }>();
  for (const { name: release, value } of releases) {
    if (value.propagate === undefined) continue;
    const { name, format, span } = headerOf(value.propagate, parsing);
    const first = formats.get(name);
    if (first !== undefined && first.format !== format) {
      const message = `release ${first.release} uses ${quote(name)} with format ${first.format}; a header has one format`;
      parsing.error(span, "conflicting-keys", message);
    }
    if (first === undefined) formats.set(name, { release, format });
    const override = releases.find((other) => other.value.override?.header === name);
    if (override === undefined) continue;
    const message = `${quote(name)} is the override's header of release ${override.name}, which is never forwarded`;
    parsing.error(span, "duplicate-name", message, "rename one of them");
  }
}

function headerOf(
  propagate: PropagateConfig,
  parsing: ParseContext,
): { readonly name: string; readonly format: string; readonly span: Span } {
  const { header } = propagate;
  if (typeof header === "string") {
    return { name: header, format: "releases", span: parsing.spanOf(propagate, "header") };
  }
  return { name: header.name, format: header.format, span: parsing.spanOf(header, "name") };
}
