import { parseAuthority } from "../../identify/authority.ts";
import { repeated } from "../../identify/request-head.ts";
import type { ReceivedHead } from "./head.ts";

/** Origin-form, of the octets that HTTP/1.1's parser lets through: an HTTP/1.1 upstream must get the same. */
const originForm = /^\/[\x21\x22\x24-\x7e]*$/;

/** What the fields of a request are looked through for, in one pass. */
interface Seen {
  method: string;
  scheme: string;
  path: string;
  authority: string | undefined;
  hosts: number;
  host: string;
  cookie: number;
  contentLength: number | undefined;
}

/**
 * A request head as node:http2 decoded it. What HTTP/2 forbids (fields of the connection, upper-case names, pseudo-fields
 * that are unknown, repeated or late, a length that the body does not have) has ended the stream before it got here.
 */
export class Http2Head implements ReceivedHead {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly authority: string;
  readonly host: string;
  readonly rawHeaders: readonly string[];
  readonly cookies: string | undefined;
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  readonly version = "2.0";

  private constructor(seen: Seen, host: string, rawHeaders: readonly string[], hasBody: boolean) {
    const mark = seen.path.indexOf("?");
    this.method = seen.method;
    this.target = seen.path;
    this.path = mark === -1 ? seen.path : seen.path.slice(0, mark);
    this.query = mark === -1 ? "" : seen.path.slice(mark + 1);
    this.authority = seen.authority ?? seen.host;
    this.host = host;
    this.rawHeaders = rawHeaders;
    this.cookies = seen.cookie === -1 ? undefined : rawHeaders[seen.cookie + 1];
    this.hasBody = hasBody;
    this.contentLength = seen.contentLength;
  }

  /**
   * `fields` are pseudo-fields and fields, flat, as they came. Undefined where they are not a request that Perch forwards:
   * CONNECT, a scheme other than http and https, a path that is not origin-form or has a fragment, no authority or one
   * that is none, a Host that says another than `:authority` (RFC 9113 §8.3.1).
   */
  static read(fields: readonly string[], body: "follows" | "none"): Http2Head | undefined {
    const rawHeaders: string[] = [];
    const seen = look(fields, rawHeaders);
    const { method, scheme, path, authority, hosts, host } = seen;
    if (method === "" || method === "CONNECT" || (scheme !== "http" && scheme !== "https")) return undefined;
    if (!originForm.test(path) || hosts > 1) return undefined;
    if (authority !== undefined && hosts === 1 && authority.toLowerCase() !== host.toLowerCase()) return undefined;
    if (seen.contentLength !== undefined && !Number.isSafeInteger(seen.contentLength)) return undefined;
    const named = parseAuthority(authority ?? host);
    return named && new Http2Head(seen, named.host, rawHeaders, body === "follows");
  }

  header(name: string): string | undefined | typeof repeated {
    const { rawHeaders } = this;
    let found: string | undefined;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (rawHeaders[i] !== name) continue;
      if (found !== undefined) return repeated;
      found = rawHeaders[i + 1];
    }
    return found;
  }

  headerLines(name: string): readonly string[] {
    const { rawHeaders } = this;
    const lines: string[] = [];
    for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i] === name) lines.push(rawHeaders[i + 1] ?? "");
    return lines;
  }
}

/** Appends the fields that are no pseudo-fields to `rawHeaders`; the pieces of Cookie become one (RFC 9113 §8.2.3). */
function look(fields: readonly string[], rawHeaders: string[]): Seen {
  const seen: Seen = {
    method: "",
    scheme: "",
    path: "",
    authority: undefined,
    hosts: 0,
    host: "",
    cookie: -1,
    contentLength: undefined,
  };
  const cookies: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    if (name === ":method") seen.method = value;
    else if (name === ":scheme") seen.scheme = value;
    else if (name === ":path") seen.path = value;
    else if (name === ":authority") seen.authority = value;
    else if (name === "cookie") {
      if (cookies.push(value) > 1) continue;
      seen.cookie = rawHeaders.length;
      rawHeaders.push(name, value);
    } else {
      if (name === "content-length") seen.contentLength = Number(value);
      if (name === "host") {
        seen.hosts++;
        seen.host = value;
      }
      rawHeaders.push(name, value);
    }
  }
  if (cookies.length > 1) rawHeaders[seen.cookie + 1] = cookies.join("; ");
  return seen;
}

/** The octets of a head as HTTP/1.1 would write it: one limit for both. */
export function fieldBytes(fields: readonly string[]): number {
  let bytes = 0;
  for (const part of fields) bytes += part.length + 2;
  return bytes;
}
