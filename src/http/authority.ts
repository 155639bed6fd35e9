import { parseAddress } from "../decide/ip-address.ts";

/** The host and port of a request, from its Host header or an absolute-form target. */
export interface Authority {
  /** Lower case, without port and trailing dot. An IPv6 address is in canonical form and keeps its brackets. */
  readonly host: string;
  /** Undefined if it is missing or empty (`example.com:`). */
  readonly port: number | undefined;
}

/** A parsed authority with a copy of its text: a slice of a request's head would keep the whole head alive. */
export interface KnownAuthority {
  readonly text: string;
  readonly authority: Authority;
}

/**
 * Parses an authority, `host[:port]`. Deliberately narrower than RFC 3986 §3.2.2: a host is an IPv6 address in
 * brackets, or letters, digits, `-`, `_`, `~` and dots with no empty label, one trailing dot allowed. No real host
 * contains percent-encoding or sub-delimiters, and a comma would turn X-Forwarded-Host into a list. User information,
 * an empty host, blanks, control characters and ports above 65535 are rejected: undefined.
 *
 * While it is cached, equal text returns the same frozen object: the route table then looks up a host string whose hash
 * V8 has already computed.
 *
 * @example parseAuthority("Shop.Example.com.:8080") // { host: "shop.example.com", port: 8080 }
 */
export function parseAuthority(text: string): Authority | undefined {
  return knownAuthority(text)?.authority;
}

const cacheLimit = 1024;
let recent = new Map<string, KnownAuthority>();
let older = new Map<string, KnownAuthority>();
/** Most requests repeat the previous request's authority, and a comparison is faster than a look-up. */
let last: KnownAuthority | undefined;

/** Like `parseAuthority`, with the cached text, so that the texts of two requests can be compared by reference. */
export function knownAuthority(text: string): KnownAuthority | undefined {
  if (last?.text === text) return last;
  const known = recent.get(text) ?? remember(text, older.get(text));
  if (known !== undefined) last = known;
  return known;
}

/**
 * Two generations: the full young one replaces the old one, so that clients sending ever new hosts cost bounded memory.
 */
function remember(text: string, before: KnownAuthority | undefined): KnownAuthority | undefined {
  const authority = before?.authority ?? readAuthority(text);
  if (authority === undefined) return undefined;
  const known = before ?? { text: ownCopy(text), authority };
  if (recent.size >= cacheLimit) {
    older = recent;
    recent = new Map();
  }
  recent.set(known.text, known);
  return known;
}

function ownCopy(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function readAuthority(text: string): Authority | undefined {
  return text.startsWith("[") ? readBracketed(text) : readNamed(text);
}

const ipv4Mapped = "::ffff:";
/** RFC 3986 §3.2.3 allows an empty port. */
const portPart = /^(?::\d{0,5})?$/;

function readBracketed(text: string): Authority | undefined {
  const end = text.indexOf("]");
  const address = end < 0 ? undefined : parseAddress(text.slice(1, end));
  const rest = text.slice(end + 1);
  if (address === undefined || !text.slice(1, end).includes(":") || !portPart.test(rest)) return undefined;
  // The canonical text of an IPv4-mapped address is a dotted quad, which is not valid in brackets.
  const inner = address.text.includes(":") ? address.text : `${ipv4Mapped}${address.text}`;
  return withPort(`[${inner}]`, rest);
}

/** RFC 1035 §2.3.4, plus a trailing dot. */
const maxHostLength = 254;

function readNamed(text: string): Authority | undefined {
  const end = hostEnd(text);
  const rest = text.slice(end);
  if (end > maxHostLength || !portPart.test(rest)) return undefined;
  const dotted = text.charCodeAt(end - 1) === 0x2e;
  const host = ownCopy(text.slice(0, dotted ? end - 1 : end).toLowerCase());
  return host === "" ? undefined : withPort(host, rest);
}

/** The host ends at the first character that is not valid in one, or at an empty label. */
function hostEnd(text: string): number {
  let afterDot = true;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      if (afterDot) return at;
      afterDot = true;
    } else {
      if (!isHostCharacter(code)) return at;
      afterDot = false;
    }
  }
  return text.length;
}

function isHostCharacter(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x5f ||
    code === 0x7e
  );
}

/** The port of a URL that names none. */
export const defaultPorts = Object.freeze({ http: 80, https: 443 });

/** A name or an address as the host of a URL: an IPv6 address in brackets. */
export function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

const maxPort = 65_535;

/** `rest` matches `portPart`. */
function withPort(host: string, rest: string): Authority | undefined {
  const port = rest.length > 1 ? Number(rest.slice(1)) : undefined;
  return port !== undefined && port > maxPort ? undefined : Object.freeze({ host, port });
}
