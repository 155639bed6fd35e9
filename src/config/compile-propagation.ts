import type { PropagationHeader, PropagationSpec } from "../decide/release.ts";
import type { CompileContext } from "./compile-context.ts";
import { isFramingHeader } from "./framing-headers.ts";
import { quote } from "./kit/tree.ts";
import type { PropagateConfig } from "./release-schema.ts";

export function compilePropagation(propagate: PropagateConfig, context: CompileContext): PropagationSpec {
  const { reading } = context;
  const header = compileHeader(propagate, context);
  const { baggage, acceptFrom } = propagate;
  acceptFrom.forEach((range, index) => {
    if (!range.text.endsWith("/0")) return;
    const message = `${range.text} takes anyone's word for the version, past every rule and weight`;
    reading.warn(reading.spanOf(acceptFrom, index), "risky", message, "name the addresses of your own services");
  });
  return { header, baggage, acceptFrom };
}

function compileHeader(propagate: PropagateConfig, { reading }: CompileContext): PropagationHeader {
  const { header } = propagate;
  const name = typeof header === "string" ? header : header.name;
  const span = typeof header === "string" ? reading.spanOf(propagate, "header") : reading.spanOf(header, "name");
  if (isFramingHeader(name) || name === "baggage" || name === "authorization") {
    const message = `${quote(name)} can not say which version was assigned: it has a meaning of its own`;
    reading.error(span, "bad-value", message);
  }
  if (typeof header === "string") return { name, format: "releases", words: [] };
  const { format } = header;
  const seen = new Map<string, string>();
  const words = header.versions.map((entry) => {
    const { name: version, value: word } = entry;
    const other = seen.get(word);
    if (other !== undefined) {
      const message = `version ${other} is called ${quote(word)} already`;
      reading.error(reading.spanOf(header.versions, version), "duplicate-name", message);
    }
    seen.set(word, version);
    return { version, word };
  });
  return { name, format, words };
}
