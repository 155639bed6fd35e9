import { isUtf8 } from "node:buffer";

/** Parameters that are looked at. Those behind them are unknown to routes and rules and still go upstream. */
const parameterLimit = 256;

const encoded = /[%+\u0080-\uffff]/;
const escaped = /%([\da-f]{2})/gi;

/**
 * The parameters of a query, the part of a target after its `?`, by name; the first of each name counts. Names and
 * values are decoded as browsers write forms: `+` is a space, `%XX` a byte, the whole UTF-8 where it is valid. An
 * escape that is none stays as it is. A parameter without `=` has the empty value.
 */
export function parseQuery(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  let start = 0;
  for (let count = 0; count < parameterLimit && start < query.length; count++) {
    const end = parameterEnd(query, start);
    const name = parameterName(query, start, end);
    if (start < end && !parameters.has(name.text)) parameters.set(name.text, decode(query.slice(name.end + 1, end)));
    start = end + 1;
  }
  return parameters;
}

/** False where no parameter has this name, without reading them: most queries end here. */
export function mayHaveParameter(query: string, name: string, holdsNoEscape = false): boolean {
  return query.includes(name) || (!holdsNoEscape && encoded.test(query));
}

/** The query without the parameters of these names, all else byte for byte; the same text where nothing had to go. */
export function stripParameters(query: string, names: ReadonlySet<string>): string {
  if (query === "" || !mayHold(query, names)) return query;
  const parameters = query.split("&");
  const left = parameters.filter((parameter) => !names.has(parameterName(parameter, 0, parameter.length).text));
  return left.length === parameters.length ? query : left.join("&");
}

/** Without an escape, a name that is not in the text anywhere is not there as a parameter: most queries end here. */
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

function decode(text: string): string {
  if (!encoded.test(text)) return text;
  const bytes = text.replaceAll("+", " ");
  return decodeText(bytes.replace(escaped, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))));
}

const beyondAscii = /[\u0080-\uffff]/;
const beyondLatin1 = /[\u0100-\uffff]/;

/**
 * The text that bytes stand for: parsers hand a head's bytes on as one character each (Latin-1), while clients mean
 * UTF-8. Bytes that are no valid UTF-8 stay the Latin-1 text they already are.
 */
export function decodeText(latin1: string): string {
  if (!beyondAscii.test(latin1) || beyondLatin1.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : latin1;
}
