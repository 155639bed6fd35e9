import type { Address } from "../decide/address.ts";
import { type Authority, parseAuthority } from "./authority.ts";
import type { Caller } from "./caller.ts";
import { receivedLines } from "./client-address.ts";
import { isWellFormed } from "./forwarded-element.ts";
import type { RequestHead } from "./request-head.ts";

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
