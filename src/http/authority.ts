import { parseAddress } from "../decide/ip-address.ts";

/** Host and port that a request names, in its Host header or an absolute-form target. */
export interface Authority {
  /** Lower case, without port and trailing dot. An IPv6 address is in its canonical text and keeps its brackets. */
  readonly host: string;
  /** Undefined where none was written, or an empty one (`example.com:`). */
  readonly port: number | undefined;
}

/** RFC 1035 §2.3.4, with room for a trailing dot. */
const maxHost = 254;
const highestPort = 65_535;
const cacheLimit = 1024;

const ipv4Mapped = "::ffff:";
/** `:` with up to five digits; RFC 3986 §3.2.3 lets the digits be missing. */
const portPart = /^(?::\d{0,5})?$/;

/** What was read, by a text of our own: a slice of a request's head would keep that whole head alive. */
export interface KnownAuthority {
  readonly text: string;
  readonly authority: Authority;
}

let recent = new Map<string, KnownAuthority>();
let older = new Map<string, KnownAuthority>();
/** Most requests ask for what the request before them asked for: comparing is faster than looking up. */
let last: KnownAuthority | undefined;

/**
 * Reads an authority, `host[:port]`. Narrower than RFC 3986 §3.2.2 on purpose: a host is an IPv6 address in brackets, or
 * letters, digits, `-`, `_`, `~` and dots with no empty label, one trailing dot allowed. Percent-encoding and the
 * sub-delimiters, of which a comma would make a list of X-Forwarded-Host, name no host that exists. User information, an
 * empty host, blanks, controls and ports above 65535 are refused: undefined.
 *
 * The same text is answered with the same frozen object while it is remembered, so its host is a string whose hash the
 * engine already knows when the route table looks it up.
 *
 * @example parseAuthority("Shop.Example.com.:8080") // { host: "shop.example.com", port: 8080 }
 */
export function parseAuthority(text: string): Authority | undefined {
  return knownAuthority(text)?.authority;
}

/** As `parseAuthority`, with the one text for it: whoever compares those of two requests compares two references. */
export function knownAuthority(text: string): KnownAuthority | undefined {
  if (last?.text === text) return last;
  const known = recent.get(text) ?? remember(text, older.get(text));
  if (known !== undefined) last = known;
  return known;
}

/** Two generations: when the young one is full it replaces the old one, so hostile variety costs bounded memory. */
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

function readBracketed(text: string): Authority | undefined {
  const end = text.indexOf("]");
  const address = end < 0 ? undefined : parseAddress(text.slice(1, end));
  const rest = text.slice(end + 1);
  if (address === undefined || !text.slice(1, end).includes(":") || !portPart.test(rest)) return undefined;
  // An IPv4-mapped address has a dotted quad as its canonical text, which brackets can not hold.
  const inner = address.text.includes(":") ? address.text : `${ipv4Mapped}${address.text}`;
  return withPort(`[${inner}]`, rest);
}

function readNamed(text: string): Authority | undefined {
  const end = hostEnd(text);
  const rest = text.slice(end);
  if (end > maxHost || !portPart.test(rest)) return undefined;
  const dotted = text.charCodeAt(end - 1) === 0x2e;
  const host = ownCopy(text.slice(0, dotted ? end - 1 : end).toLowerCase());
  return host === "" ? undefined : withPort(host, rest);
}

/** Where the host ends: at the first character that can not be of one, or at the second dot of two. */
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

/** `rest` is a port part: empty, `:`, or `:` and up to five digits. */
function withPort(host: string, rest: string): Authority | undefined {
  const port = rest.length > 1 ? Number(rest.slice(1)) : undefined;
  return port !== undefined && port > highestPort ? undefined : Object.freeze({ host, port });
}
