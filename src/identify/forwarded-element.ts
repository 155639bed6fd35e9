import { skipBlanks } from "./blanks.ts";

/**
 * The Forwarded header (RFC 7239 §4), read from its end. The last elements are those that proxies next to us wrote, and
 * a client may have sent anything before them: an opened quote, say, that would swallow them in a reading from the
 * start. Read backwards, a well-formed element is found whatever stands in front of it.
 */

const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;

/**
 * One `name=value` with the separator behind it. An unquoted value may hold `:`, `[` and `]` although they are no token
 * characters: many proxies write addresses with ports that way.
 */
const pair = /([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:[\]-]+)|"((?:[^"\\]|\\.)*)")[ \t]*(?:;[ \t]*|$)/y;

/** Where the element that ends before `end` starts; -1 where a quote in it was never opened. */
export function elementStart(text: string, end: number): number {
  for (let at = end - 1; at >= 0; at--) {
    const code = text.charCodeAt(at);
    if (code === comma) return at + 1;
    if (code === quote) at = openingQuote(text, at);
    if (at < 0) return -1;
  }
  return 0;
}

function openingQuote(text: string, closing: number): number {
  let at = closing;
  do at = at === 0 ? -1 : text.lastIndexOf('"', at - 1);
  while (at >= 0 && isEscaped(text, at));
  return at;
}

function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (start > 0 && text.charCodeAt(start - 1) === backslash) start--;
  return (at - start) % 2 === 1;
}

/**
 * The node that an element names in `for`, unquoted; the empty text where it names none. Undefined where the element is
 * malformed or says anything twice.
 */
export function forwardedNode(element: string): string | undefined {
  const names = new Set<string>();
  let node = "";
  for (let at = skipBlanks(element, 0); at < element.length; at = pair.lastIndex) {
    pair.lastIndex = at;
    const found = pair.exec(element);
    if (found === null) return undefined;
    const [, written = "", token, quoted = ""] = found;
    const name = written.toLowerCase();
    if (names.has(name)) return undefined;
    names.add(name);
    if (name === "for") node = token ?? quoted.replace(/\\(.)/gs, "$1");
  }
  return node;
}

/** True where every element of the header is well-formed, so that one more may follow. */
export function isWellFormed(text: string): boolean {
  for (let end = text.length; end >= 0; ) {
    const start = elementStart(text, end);
    if (start < 0 || forwardedNode(text.slice(start, end)) === undefined) return false;
    end = start - 1;
  }
  return true;
}
