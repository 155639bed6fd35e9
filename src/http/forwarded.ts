import { type Address, type AddressRange, parseAddress } from "../decide/ip-address.ts";
import { type Authority, defaultPorts, parseAuthority } from "./authority.ts";
import { skipBlanks, skipBlanksBack } from "./header-fields.ts";
import { type Caller, type RequestHead, repeated } from "./request-head.ts";

type Scheme = "http" | "https";
type Head = Pick<RequestHead, "header" | "headerLines" | "authority">;

/** The forwarding headers for the upstream. The values contain no control characters. */
export interface ForwardedHeaders {
  /** X-Forwarded-For; `unknown` if the caller has no address and no trusted caller sent one. */
  readonly for: string;
  /** X-Forwarded-Proto. */
  readonly proto: Scheme;
  /** X-Forwarded-Host; undefined if the request has no host, as in HTTP/1.0. */
  readonly host: string | undefined;
  /** X-Forwarded-Port. */
  readonly port: string;
  /** Forwarded, extended by the caller's element; undefined unless a trusted caller sent one. */
  readonly forwarded: string | undefined;
}

/**
 * The client's address. An untrusted caller is the client. Behind a trusted one X-Forwarded-For is read from its end:
 * the first address that is not in `trusted` is the client, or the leftmost if all are. An entry that is not an address
 * (`unknown`, an obfuscated name, garbage) ends the walk; the address read before it is the client. Without
 * X-Forwarded-For, Forwarded (RFC 7239) is read the same way. A proxy that writes only Forwarded must therefore remove
 * X-Forwarded-For, or its clients can choose their address.
 *
 * Undefined only if the caller has no address (a unix socket) and sent no usable one.
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

/** All values of a header, in order; undefined if it is absent. */
export function receivedLines(
  head: Pick<RequestHead, "header" | "headerLines">,
  name: string,
): readonly string[] | undefined {
  const value = head.header(name);
  if (value === undefined) return undefined;
  return value === repeated ? head.headerLines(name) : [value];
}

/** Further entries are ignored, to bound the work per request. */
const maxEntries = 32;

function walk(
  lines: readonly string[],
  startOf: (line: string, end: number) => number,
  parse: (entry: string) => Address | undefined,
  caller: Caller,
  trusted: readonly AddressRange[],
): Address | undefined {
  let client = caller.address;
  let entriesLeft = maxEntries;
  for (const line of lines.toReversed()) {
    for (let end = line.length; end >= 0; ) {
      const start = startOf(line, end);
      if (start < 0) return client;
      const entry = line.slice(skipBlanks(line, start), skipBlanksBack(line, end));
      end = start - 1;
      // Lists may have empty elements (RFC 9110 §5.6.1.2).
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

/** An address followed by a port, as some proxies write it; the port may be obfuscated (RFC 7239 §6.3). */
const withPort = /^(?:\[([\da-f:.]{2,45})\]|([\d.]{7,15}))(?::(?:\d{1,5}|_[\w.-]{1,64}))?$/i;

function parseNode(text: string): Address | undefined {
  const bare = parseAddress(text);
  if (bare !== undefined) return bare;
  const parts = withPort.exec(text);
  return parts === null ? undefined : parseAddress(parts[1] ?? parts[2] ?? "");
}

/**
 * The forwarding headers for the upstream, which replace all received ones (`isForwardingHeader`). Those of an
 * untrusted caller are ignored. A trusted caller's X-Forwarded-For and Forwarded are extended by its address; each of
 * its other headers is kept if it is valid and was sent once, and replaced otherwise.
 *
 * The port is the one that clients use: the host's, else the scheme's default. The listener's would be wrong behind a
 * Kubernetes Service or a port mapping; it is used only if there is no host.
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

/**
 * Whether a lower-case name is a forwarding header: none passes from an untrusted caller, and those that
 * `forwardedHeaders` returns pass from no caller.
 */
export function isForwardingHeader(name: string): boolean {
  return name.startsWith("x-forwarded-") || name === "forwarded" || name === "x-real-ip";
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

/** Whether the client used https, by a trusted caller's X-Forwarded-Proto or else by the connection. */
export function isHttps(head: Pick<RequestHead, "header">, caller: Caller): boolean {
  return ((caller.trusted ? receivedScheme(head) : undefined) ?? caller.scheme) === "https";
}

function receivedText(head: Pick<RequestHead, "header">, name: string): string | undefined {
  const value = head.header(name);
  return typeof value === "string" ? value : undefined;
}

/** Traefik sends the schemes of WebSocket for an upgrade request. */
const schemes: ReadonlyMap<string, Scheme> = new Map([
  ["http", "http"],
  ["https", "https"],
  ["ws", "http"],
  ["wss", "https"],
]);

function receivedScheme(head: Pick<RequestHead, "header">): Scheme | undefined {
  const text = receivedText(head, "x-forwarded-proto");
  return text === undefined ? undefined : schemes.get(text.toLowerCase());
}

function extendedList(head: Head, address: Address | undefined): string {
  const received = joinedLines(head, "x-forwarded-for");
  if (received === undefined) return address?.text ?? "unknown";
  return address === undefined ? received : `${received}, ${address.text}`;
}

/**
 * RFC 7239 §4. A malformed value is removed: in an unclosed quote, the added element would become part of the quote.
 */
function extendedElements(head: Head, caller: Caller): string | undefined {
  const received = joinedLines(head, "forwarded");
  if (received === undefined || !isWellFormed(received)) return undefined;
  const host = parseAuthority(head.authority) === undefined ? "" : `host=${quoted(head.authority)};`;
  return `${received}, for=${nodeOf(caller.address)};${host}proto=${caller.scheme}`;
}

const printable = /^[\t\x20-\x7e]+$/;

/** The lines as one list; undefined if they are empty or contain anything but printable ASCII and tabs. */
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

/** Only `:` and brackets make an authority an invalid token, and brackets occur only with `:`. */
function quoted(authority: string): string {
  return authority.includes(":") ? `"${authority}"` : authority;
}

const portNumber = /^[1-9]\d{0,4}$/;
const maxPort = 65_535;

function isPort(text: string): boolean {
  return portNumber.test(text) && Number(text) <= maxPort;
}

function portOf(authority: Authority | undefined, scheme: Scheme, caller: Caller): string {
  if (authority === undefined) return String(caller.localPort);
  if (authority.port !== undefined) return String(authority.port);
  return String(defaultPorts[scheme]);
}

/** True if every element of the header is well-formed, so that another may be appended. */
export function isWellFormed(text: string): boolean {
  for (let end = text.length; end >= 0; ) {
    const start = elementStart(text, end);
    if (start < 0 || forwardedNode(text.slice(start, end)) === undefined) return false;
    end = start - 1;
  }
  return true;
}

const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;

/**
 * The start of the element that ends at `end`; -1 if a quote in it is never opened. Forwarded (RFC 7239 §4) is read
 * from its end, since the last elements are those of the nearest proxies. Read from the start, a quote that the client
 * opened would swallow them.
 */
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
 * One `name=value` and its separator. An unquoted value may contain `:`, `[` and `]`, which are not token characters:
 * many proxies write addresses with ports like that.
 */
const pair = /([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w:[\]-]+)|"((?:[^"\\]|\\.)*)")[ \t]*(?:;[ \t]*|$)/y;

/**
 * The element's `for` value, unquoted; empty if it has none. Undefined if the element is malformed or repeats a name.
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
