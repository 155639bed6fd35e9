import { isUtf8 } from "node:buffer";

/** Routes and rules ignore parameters beyond this; they are still sent upstream. */
const maxParameters = 256;

/**
 * The parameters of a query by name; the first of each name wins. Names and values are decoded as form data: `+` is a
 * space, `%XX` a byte, and the bytes are UTF-8 if they are valid. Invalid escapes stay unchanged. A parameter without
 * `=` has an empty value.
 */
export function parseQuery(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  let start = 0;
  for (let count = 0; count < maxParameters && start < query.length; count++) {
    const end = parameterEnd(query, start);
    const name = parameterName(query, start, end);
    if (start < end && !parameters.has(name.text)) parameters.set(name.text, decode(query.slice(name.end + 1, end)));
    start = end + 1;
  }
  return parameters;
}

/** The characters that `decode` may change. */
const encoded = /[%+\u0080-\uffff]/;

/** A fast check: false if no parameter has this name, which holds for most queries. */
export function mayHaveParameter(query: string, name: string, holdsNoEscape = false): boolean {
  return query.includes(name) || (!holdsNoEscape && encoded.test(query));
}

/** The query without the parameters of these names, otherwise byte for byte; the same string if nothing was removed. */
export function stripParameters(query: string, names: ReadonlySet<string>): string {
  if (query === "" || !mayHold(query, names)) return query;
  const parameters = query.split("&");
  const left = parameters.filter((parameter) => !names.has(parameterName(parameter, 0, parameter.length).text));
  return left.length === parameters.length ? query : left.join("&");
}

/** A fast check: without escapes, a name that occurs nowhere in the text is not a parameter. */
function mayHold(query: string, names: ReadonlySet<string>): boolean {
  if (names.size === 0) return false;
  if (encoded.test(query)) return true;
  for (const name of names) if (query.includes(name)) return true;
  return false;
}

function parameterEnd(query: string, start: number): number {
  const end = query.indexOf("&", start);
  return end < 0 ? query.length : end;
}

function parameterName(query: string, start: number, end: number): { readonly text: string; readonly end: number } {
  const parameter = query.slice(start, end);
  const equals = parameter.indexOf("=");
  const length = equals < 0 ? parameter.length : equals;
  return { text: decode(parameter.slice(0, length)), end: start + length };
}

const escaped = /%([\da-f]{2})/gi;

function decode(text: string): string {
  if (!encoded.test(text)) return text;
  const bytes = text.replaceAll("+", " ");
  return decodeText(bytes.replace(escaped, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))));
}

const beyondAscii = /[\u0080-\uffff]/;
/** Up to this length a loop is faster than an expression. */
const shortText = 64;

function isAscii(text: string): boolean {
  if (text.length > shortText) return !beyondAscii.test(text);
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

const beyondLatin1 = /[\u0100-\uffff]/;

/** Parsers deliver a head's bytes as Latin-1, but clients send UTF-8. Bytes that are not valid UTF-8 stay Latin-1. */
export function decodeText(latin1: string): string {
  if (isAscii(latin1) || beyondLatin1.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : latin1;
}
