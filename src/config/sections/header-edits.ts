import { whyProtected } from "../../http/header-names.ts";
import type { HeaderEditsSpec, Template, TemplateFact } from "../../route/route-spec.ts";
import type { KnownAttributes } from "../compile-context.ts";
import type { MessageEdits, VersionEdits } from "../compiled-config.ts";
import { headerName } from "../scalars.ts";
import { type Entry, list, mapOf, oneOrMore } from "../schema-kit/collections.ts";
import { object, optional } from "../schema-kit/object.ts";
import { text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";
import { quote, type Span } from "../schema-kit/tree.ts";

const value = text({ what: "a value", maxLength: 4_096 });

/** Edits of request or response headers. */
export const headerEditsSchema = object(
  {
    set: optional(
      "Headers by name, replacing existing ones. Values may contain facts of the request (docs/routes.md).",
      mapOf(headerName, value, { of: "headers", min: 1 }),
    ),
    add: optional(
      "Headers by name, added to existing ones, with one or more values each.",
      mapOf(headerName, oneOrMore(value, "values"), { of: "headers", min: 1 }),
    ),
    remove: optional("Names of headers that are removed.", list(headerName, { of: "headers", min: 1 })),
  },
  { what: "an edit of headers", atLeastOneOf: ["set", "add", "remove"] },
);

export type HeaderEditsConfig = Infer<typeof headerEditsSchema>;

interface EditingConfig {
  readonly requestHeaders: HeaderEditsConfig | undefined;
  readonly responseHeaders: HeaderEditsConfig | undefined;
}

export function compileMessageEdits(
  { requestHeaders, responseHeaders }: EditingConfig,
  attributes: KnownAttributes,
  parsing: ParseContext,
): MessageEdits {
  return {
    request: requestHeaders && compileHeaderEdits(requestHeaders, "request", attributes, parsing),
    response: responseHeaders && compileHeaderEdits(responseHeaders, "response", attributes, parsing),
  };
}

/** The edits of all versions that have some. */
export function compileVersionEdits(
  services: readonly Entry<{ readonly versions: readonly Entry<EditingConfig>[] }>[],
  attributes: KnownAttributes,
  parsing: ParseContext,
): VersionEdits[] {
  return services.flatMap(({ name: service, value }) =>
    value.versions.flatMap(({ name: version, value: config }) => {
      const edits = compileMessageEdits(config, attributes, parsing);
      return edits.request === undefined && edits.response === undefined ? [] : [{ service, version, ...edits }];
    }),
  );
}

function compileHeaderEdits(
  config: HeaderEditsConfig,
  message: "request" | "response",
  attributes: KnownAttributes,
  parsing: ParseContext,
): HeaderEditsSpec {
  const check = (name: string, span: Span): void => {
    const why = whyProtected(name, message);
    if (why !== undefined) parsing.error(span, "bad-value", `the header ${quote(name)} cannot be edited: ${why}`);
  };
  const added = [];
  for (const entry of config.set ?? []) {
    check(entry.name, parsing.keySpanOf(entry));
    const value = compileTemplate(entry.value, attributes, parsing.spanOf(entry), parsing);
    added.push({ name: entry.name, value });
  }
  for (const entry of config.add ?? []) {
    check(entry.name, parsing.keySpanOf(entry));
    for (const [index, written] of entry.value.entries()) {
      const value = compileTemplate(written, attributes, parsing.spanOf(entry.value, index), parsing);
      added.push({ name: entry.name, value });
    }
  }
  for (const [index, name] of (config.remove ?? []).entries()) {
    check(name, parsing.spanOf(config, "remove", index));
  }
  // `set` is a removal and an addition.
  const removed = new Set([...(config.remove ?? []), ...(config.set ?? []).map(({ name }) => name)]);
  return { removed: [...removed], added };
}

/** Facts that a template may contain. */
const facts = ["version", "route", "service", "release", "requestId", "clientAddress", "host", "path"] as const;

const attributePrefix = "attribute.";
const reference = /\$\{([^{}]*)\}/g;

/** Parses the `${…}` references in a value. The rest is literal, encoded as UTF-8. */
function compileTemplate(written: string, attributes: KnownAttributes, span: Span, parsing: ParseContext): Template {
  const parts: (string | TemplateFact)[] = [];
  let done = 0;
  for (const match of written.matchAll(reference)) {
    if (match.index > done) parts.push(bytes(written.slice(done, match.index)));
    done = match.index + match[0].length;
    const fact = compileFact(match[1] ?? "", attributes, span, parsing);
    if (fact !== undefined) parts.push(fact);
  }
  if (done < written.length) parts.push(bytes(written.slice(done)));
  return parts;
}

function compileFact(
  name: string,
  attributes: KnownAttributes,
  span: Span,
  parsing: ParseContext,
): TemplateFact | undefined {
  const kind = facts.find((fact) => fact === name);
  if (kind !== undefined) return { kind };
  if (name.startsWith(attributePrefix)) {
    const attribute = name.slice(attributePrefix.length);
    const known = attributes.use(attribute);
    if (known !== undefined) return { kind: "attribute", index: known.index, name: attribute };
    if (attributes.names?.has(attribute) === false) {
      parsing.unknownName(span, "attribute", attribute, attributes.names);
    }
    return undefined;
  }
  const all = [...facts, ...[...(attributes.names ?? [])].map((attribute) => attributePrefix + attribute)];
  parsing.unknownName(span, "template", name, all);
  return undefined;
}

/** UTF-8 bytes as one character each, as message heads are represented. */
function bytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
