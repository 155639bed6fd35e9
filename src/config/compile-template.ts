import type { Template, TemplateFact } from "../route/template.ts";
import type { Reading } from "./kit/schema.ts";
import type { Span } from "./kit/source-text.ts";
import type { KnownAttributes } from "./known-attributes.ts";

/** Facts that a template names by one word. */
const facts = ["version", "route", "service", "release", "requestId", "clientAddress", "host", "path"] as const;

const attributePrefix = "attribute.";
const reference = /\$\{([^{}]*)\}/g;

/** Reads `${…}` in a value; the rest is taken as it stands, its characters as octets of UTF-8. */
export function compileTemplate(written: string, attributes: KnownAttributes, span: Span, reading: Reading): Template {
  const parts: (string | TemplateFact)[] = [];
  let done = 0;
  for (const match of written.matchAll(reference)) {
    if (match.index > done) parts.push(octets(written.slice(done, match.index)));
    done = match.index + match[0].length;
    const fact = compileFact(match[1] ?? "", attributes, span, reading);
    if (fact !== undefined) parts.push(fact);
  }
  if (done < written.length) parts.push(octets(written.slice(done)));
  return parts;
}

function compileFact(
  name: string,
  attributes: KnownAttributes,
  span: Span,
  reading: Reading,
): TemplateFact | undefined {
  const kind = facts.find((fact) => fact === name);
  if (kind !== undefined) return { kind };
  if (name.startsWith(attributePrefix)) {
    const attribute = name.slice(attributePrefix.length);
    const known = attributes.use(attribute);
    if (known !== undefined) return { kind: "attribute", index: known.index, name: attribute };
    if (attributes.names?.has(attribute) === false) {
      reading.unknownName(span, "attribute", attribute, attributes.names);
    }
    return undefined;
  }
  const all = [...facts, ...[...(attributes.names ?? [])].map((attribute) => attributePrefix + attribute)];
  reading.unknownName(span, "template", name, all);
  return undefined;
}

/** Heads are octets, one to a character. */
function octets(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
