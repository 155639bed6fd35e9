import { type Address, type AddressRange, parseAddress } from "../decide/ip-address.ts";
import { type Authority, parseAuthority } from "./authority.ts";
import { skipBlanks, skipBlanksBack } from "./header-fields.ts";
import { type Caller, type RequestHead, repeated } from "./request-head.ts";

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

type Scheme = "http" | "https";
type Head = Pick<RequestHead, "header" | "headerLines" | "authority">;

/** What Perch tells the upstream of the way a request came. Nothing in it can hold a control character. */
export interface ForwardedHeaders {
  /** X-Forwarded-For; `unknown` where the caller has no address and nobody trusted names one. */
  readonly for: string;
  /** X-Forwarded-Proto. */
  readonly proto: Scheme;
  /** X-Forwarded-Host; undefined where the request named no host, as HTTP/1.0 may. */
  readonly host: string | undefined;
  /** X-Forwarded-Port. */
  readonly port: string;
  /** Forwarded, extended by the caller. It is never begun: undefined where a trusted caller did not send it. */
  readonly forwarded: string | undefined;
}

/** WebSocket's schemes are those of the request that asks for the upgrade; Traefik sends them. */
const schemes: ReadonlyMap<string, Scheme> = new Map([
  ["http", "http"],
  ["https", "https"],
  ["ws", "http"],
  ["wss", "https"],
]);

const printable = /^[\t\x20-\x7e]+$/;
const portNumber = /^[1-9]\d{0,4}$/;
const highestPort = 65_535;

/**
 * The forwarding headers for the upstream; all that came under these names is to be dropped (`isForwardingHeader`).
 * What an untrusted caller sent is not looked at. A trusted caller's X-Forwarded-For and Forwarded are extended by its
 * own address, its other headers kept, each where it came once and is valid and set anew otherwise.
 *
 * The port is the one that clients use: the host's, else the scheme's own. The listener's would be wrong wherever a
 * Service or a port mapping stands in front; it is told only where no host is known.
 */
export function forwardedHeaders(head: Head, caller: Caller): ForwardedHeaders {
  if (caller.trusted) return extendedHeaders(head, caller);
  const authority = parseAuthority(head.authority);
  return {
    for: caller.address?.text ?? "unknown",
    proto: caller.scheme,
    host: authority === undefined ? undefined : head.authority,
    port: portOf(authority, caller.scheme, caller),
    forwarded: undefined,
  };
}

function extendedHeaders(head: Head, caller: Caller): ForwardedHeaders {
  const proto = receivedScheme(head) ?? caller.scheme;
  const named = receivedText(head, "x-forwarded-host") ?? "";
  const host = parseAuthority(named) === undefined ? head.authority : named;
  const authority = parseAuthority(host);
  const port = receivedText(head, "x-forwarded-port") ?? "";
  return {
    for: extendedList(head, caller.address),
    proto,
    host: authority === undefined ? undefined : host,
    port: isPort(port) ? port : portOf(authority, proto, caller),
    forwarded: extendedElements(head, caller),
  };
}

/** True where the client used https, as far as the caller, or a trusted caller's X-Forwarded-Proto, tells. */
export function isHttps(head: Pick<RequestHead, "header">, caller: Caller): boolean {
  return ((caller.trusted ? receivedScheme(head) : undefined) ?? caller.scheme) === "https";
}

/**
 * True for headers, by lower-case name, that tell upstreams of the way a request came: none of them passes from an
 * untrusted caller, and those that `forwardedHeaders` answers for pass from none.
 */
export function isForwardingHeader(name: string): boolean {
  return name.startsWith("x-forwarded-") || name === "forwarded" || name === "x-real-ip";
}

function receivedText(head: Pick<RequestHead, "header">, name: string): string | undefined {
  const value = head.header(name);
  return typeof value === "string" ? value : undefined;
}

function receivedScheme(head: Pick<RequestHead, "header">): Scheme | undefined {
  const text = receivedText(head, "x-forwarded-proto");
  return text === undefined ? undefined : schemes.get(text.toLowerCase());
}

function extendedList(head: Head, address: Address | undefined): string {
  const received = joinedLines(head, "x-forwarded-for");
  if (received === undefined) return address?.text ?? "unknown";
  return address === undefined ? received : `${received}, ${address.text}`;
}

/** RFC 7239 §4. What is malformed is not extended but removed: an open quote would swallow what we add. */
function extendedElements(head: Head, caller: Caller): string | undefined {
  const received = joinedLines(head, "forwarded");
  if (received === undefined || !isWellFormed(received)) return undefined;
  const host = parseAuthority(head.authority) === undefined ? "" : `host=${quoted(head.authority)};`;
  return `${received}, for=${nodeOf(caller.address)};${host}proto=${caller.scheme}`;
}

/** The lines as one list; undefined where there is nothing in them, or anything but printable ASCII and tabs. */
function joinedLines(head: Head, name: string): string | undefined {
  const text = receivedLines(head, name)
    ?.filter((line) => line !== "")
    .join(", ");
  return text !== undefined && printable.test(text) ? text : undefined;
}

function nodeOf(address: Address | undefined): string {
  if (address === undefined) return "unknown";
  return address.text.includes(":") ? `"[${address.text}]"` : address.text;
}

/** Of the characters of an authority only `:` and brackets are none of a token's, and brackets never come without `:`. */
function quoted(authority: string): string {
  return authority.includes(":") ? `"${authority}"` : authority;
}

function isPort(text: string): boolean {
  return portNumber.test(text) && Number(text) <= highestPort;
}

function portOf(authority: Authority | undefined, scheme: Scheme, caller: Caller): string {
  if (authority === undefined) return String(caller.localPort);
  if (authority.port !== undefined) return String(authority.port);
  return scheme === "https" ? "443" : "80";
}

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
function elementStart(text: string, end: number): number {
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
function forwardedNode(element: string): string | undefined {
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
