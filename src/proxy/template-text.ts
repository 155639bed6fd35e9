import type { Facts } from "../decide/facts.ts";
import { skipBlanks, skipBlanksBack } from "../identify/blanks.ts";
import type { Template, TemplateFact } from "../route/template.ts";
import { plainValue } from "./plain-value.ts";
import type { Snapshot } from "./snapshot.ts";

/** What may not stand in a field's value (RFC 9110 §5.5): any control character but the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const control = /[\0-\x08\x0a-\x1f\x7f]/;
const beyondAscii = /[^\0-\x7f]/;

/** Where a template's facts come from; an exchange is one. */
export interface TemplateSource {
  readonly snapshot: Pick<Snapshot, "config">;
  readonly facts: Pick<Facts, "attribute">;
  readonly head: { readonly host: string };
  readonly path: string;
  readonly routeName: string;
  readonly serviceName: string | undefined;
  readonly releaseName: string | undefined;
  readonly requestId: string;
  readonly clientAddressText: string;
}

/** A header's value for one request, as octets, for the version that serves it; undefined where there is none. */
export type TemplateText = (source: TemplateSource, version: string) => string | undefined;

/**
 * Compiles a template. Its text is undefined where a fact in it is not known, and where what a client sent can not stand
 * in a header: whoever wrote `%0d%0a` in a query may not add a header of his own.
 */
export function compileTemplateText(template: Template): TemplateText {
  const parts = template.map((part) => (typeof part === "string" ? part : reader(part)));
  if (parts.every((part) => typeof part === "string")) {
    const text = trimmed(parts.join(""));
    return () => text;
  }
  return (source, version) => {
    let text = "";
    for (const part of parts) {
      const piece = typeof part === "string" ? part : part(source, version);
      if (piece === undefined || piece === "" || control.test(piece)) return undefined;
      text +=
        beyondAscii.test(piece) && typeof part !== "string" ? Buffer.from(piece, "utf8").toString("latin1") : piece;
    }
    return trimmed(text);
  };
}

/** Blanks around a value are not part of it. */
function trimmed(text: string): string {
  const start = skipBlanks(text, 0);
  return text.slice(start, Math.max(start, skipBlanksBack(text, text.length)));
}

/** A fact as text; undefined or empty where it is not known. */
function reader(fact: TemplateFact): TemplateText {
  switch (fact.kind) {
    case "attribute": {
      const { index } = fact;
      return ({ facts, snapshot }) => {
        const value = facts.attribute(index);
        const type = snapshot.config.attributes[index]?.type ?? "string";
        return value === undefined ? undefined : String(plainValue(type, value));
      };
    }
    case "version":
      return (_source, version) => version;
    case "route":
      return ({ routeName }) => routeName;
    case "service":
      return ({ serviceName }) => serviceName;
    case "release":
      return ({ releaseName }) => releaseName;
    case "requestId":
      return ({ requestId }) => requestId;
    case "clientAddress":
      return ({ clientAddressText }) => clientAddressText;
    case "host":
      return ({ head }) => head.host;
    case "path":
      return ({ path }) => path;
  }
}
