import { type Address, type AddressRange, parseAddress } from "../decide/address.ts";
import { skipBlanks, skipBlanksBack } from "./blanks.ts";
import type { Caller } from "./caller.ts";
import { elementStart, forwardedNode } from "./forwarded-element.ts";
import { type RequestHead, repeated } from "./request-head.ts";

/** Proxies that a request is believed to have passed; a longer way counts as ending here. */
const entryLimit = 32;

/** An address with a port behind it, as some proxies write it; the port may be obfuscated (RFC 7239 §6.3). */
const withPort = /^(?:\[([\da-f:.]{2,45})\]|([\d.]{7,15}))(?::(?:\d{1,5}|_[\w.-]{1,64}))?$/i;

/**
 * The address of the client that a request comes from. An untrusted caller is the client. Behind a trusted one,
 * X-Forwarded-For is walked from its end past the addresses in `trusted`: the first that is not among them is the
 * client, or the leftmost where all are. An entry that is no address (`unknown`, an obfuscated name, garbage) ends the
 * walk at the address before it. Forwarded (RFC 7239) is walked alike where there is no X-Forwarded-For; proxies that
 * write only Forwarded must therefore remove the other, or their clients choose their address.
 *
 * Undefined only where the caller has no address (a unix socket) and nothing better is said.
 */
export function deriveClientAddress(
  head: Pick<RequestHead, "header" | "headerLines">,
  caller: Caller,
  trusted: readonly AddressRange[],
): Address | undefined {
  if (!caller.trusted) return caller.address;
  const list = receivedLines(head, "x-forwarded-for");
  if (list !== undefined) return walk(list, listEntryStart, parseNode, caller, trusted);
  const elements = receivedLines(head, "forwarded");
  return elements === undefined ? caller.address : walk(elements, elementStart, parseElement, caller, trusted);
}

/** The values of a header that may come in several lines, in order; undefined where it did not come. */
export function receivedLines(
  head: Pick<RequestHead, "header" | "headerLines">,
  name: string,
): readonly string[] | undefined {
  const value = head.header(name);
  if (value === undefined) return undefined;
  return value === repeated ? head.headerLines(name) : [value];
}

function walk(
  lines: readonly string[],
  startOf: (line: string, end: number) => number,
  parse: (entry: string) => Address | undefined,
  caller: Caller,
  trusted: readonly AddressRange[],
): Address | undefined {
  let client = caller.address;
  let entriesLeft = entryLimit;
  for (const line of lines.toReversed()) {
    for (let end = line.length; end >= 0; ) {
      const start = startOf(line, end);
      if (start < 0) return client;
      const entry = line.slice(skipBlanks(line, start), skipBlanksBack(line, end));
      end = start - 1;
      // RFC 9110 §5.6.1.2 lets lists have empty elements.
      if (entry === "") continue;
      const address = entriesLeft-- > 0 ? parse(entry) : undefined;
      if (address === undefined) return client;
      client = address;
      if (!trusted.some((range) => range.contains(address))) return client;
    }
  }
  return client;
}

function listEntryStart(line: string, end: number): number {
  return end === 0 ? 0 : line.lastIndexOf(",", end - 1) + 1;
}

function parseElement(element: string): Address | undefined {
  const node = forwardedNode(element);
  return node === undefined ? undefined : parseNode(node);
}

function parseNode(text: string): Address | undefined {
  const bare = parseAddress(text);
  if (bare !== undefined) return bare;
  const parts = withPort.exec(text);
  return parts === null ? undefined : parseAddress(parts[1] ?? parts[2] ?? "");
}
