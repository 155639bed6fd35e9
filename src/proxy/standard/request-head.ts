import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Limits } from "../../config/compiled-config.ts";
import type { ErrorCause } from "../../errors.ts";
import { parseAuthority } from "../../http/authority.ts";
import { hasMoreCookies } from "../../http/cookies.ts";
import { type RequestHead, repeated } from "../../http/request-head.ts";
import { type Refusal, type RefusedHead, refusal, refusedHead } from "../local-reply.ts";

const slash = 0x2f;

/** A request head and what the standard lane needs to forward it. */
export interface ReceivedHead extends RequestHead {
  /** The unchanged fields, flat: name, value, name, value. */
  readonly rawHeaders: readonly string[];
  /** RFC 9112 §6.3. */
  readonly hasBody: boolean;
  /** Bytes of the body; undefined if the head does not state it. */
  readonly contentLength: number | undefined;
  /** For `Via`. */
  readonly version: "1.1" | "2.0";
}

/** A head that a parser accepted and Perch does not forward. */
export interface RejectedHead {
  readonly rejected: ErrorCause<"bad-request">;
  readonly known: RefusedHead;
}

/** `target`: as sent; only a path without its query is kept of it. */
export function rejectedHead(
  rejected: RejectedHead["rejected"],
  method: string,
  authority: string,
  target: string,
): RejectedHead {
  return { rejected, known: refusedHead(method, authority, target) };
}

/** A request head parsed by node:http. Headers are looked up in the raw list only when needed. */
export class StandardHead implements ReceivedHead {
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
  readonly version = "1.1";

  private constructor(
    method: string,
    form: TargetForm,
    host: string,
    rawHeaders: readonly string[],
    seen: ScannedFields,
  ) {
    const { target } = form;
    const mark = target.indexOf("?");
    this.method = method;
    this.target = target;
    this.path = mark === -1 ? target : target.slice(0, mark);
    this.query = mark === -1 ? "" : target.slice(mark + 1);
    this.authority = form.authority;
    this.host = host;
    this.rawHeaders = rawHeaders;
    this.cookies = seen.cookies;
    this.hasBody = seen.chunked || (seen.contentLength ?? 0) > 0;
    this.contentLength = seen.chunked ? undefined : seen.contentLength;
  }

  /**
   * Rejected if Perch does not forward such a request: no or several Host fields (RFC 9112 §3.2), an invalid Host, a
   * target that is neither origin-form nor an absolute http(s) URI or that has a fragment, a transfer coding other than
   * chunked, a length over 2^53, a version other than HTTP/1.0 and 1.1, or another protocol.
   */
  static read(request: IncomingMessage): StandardHead | RejectedHead {
    const { url = "", rawHeaders, method = "", httpVersionMajor, httpVersionMinor } = request;
    const seen = scan(rawHeaders);
    if (httpVersionMajor !== 1 || httpVersionMinor > 1) return rejectedHead("invalid-version", method, seen.host, url);
    if (isOtherProtocol(request)) return rejectedHead("other-protocol", method, seen.host, url);
    if (method === "CONNECT") return rejectedHead("unsupported-method", method, seen.host, url);
    if (seen.otherCoding) return rejectedHead("unsupported-transfer-encoding", method, seen.host, url);
    if (url.includes("#")) return rejectedHead("invalid-target-character", method, seen.host, url);
    // A larger number is rounded, so the upstream would get another length.
    if (seen.contentLength !== undefined && !Number.isSafeInteger(seen.contentLength))
      return rejectedHead("invalid-content-length", method, seen.host, url);
    if (seen.hosts > 1) return rejectedHead("several-hosts", method, seen.host, url);
    if (seen.hosts === 0 && httpVersionMinor === 1) return rejectedHead("missing-host", method, seen.host, url);
    const form = url.charCodeAt(0) === slash ? { target: url, authority: seen.host } : absoluteForm(url);
    if (form === undefined) return rejectedHead("invalid-target", method, seen.host, url);
    // HTTP/1.0 may omit Host. Otherwise it must be valid, even if an absolute target replaces it.
    if (form.authority === "" && seen.hosts === 0) return new StandardHead(method, form, "", rawHeaders, seen);
    const authority = parseAuthority(form.authority);
    if (authority === undefined) return rejectedHead("invalid-host", method, seen.host, url);
    if (form.authority !== seen.host && seen.hosts === 1 && parseAuthority(seen.host) === undefined)
      return rejectedHead("invalid-host", method, seen.host, url);
    return new StandardHead(method, form, authority.host, rawHeaders, seen);
  }

  header(name: string): string | undefined | typeof repeated {
    const { rawHeaders } = this;
    let found: string | undefined;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const candidate = rawHeaders[i];
      if (candidate?.length !== name.length || candidate.toLowerCase() !== name) continue;
      if (found !== undefined) return repeated;
      found = rawHeaders[i + 1];
    }
    return found;
  }

  headerLines(name: string): readonly string[] {
    const { rawHeaders } = this;
    const lines: string[] = [];
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (rawHeaders[i]?.toLowerCase() === name) lines.push(rawHeaders[i + 1] ?? "");
    }
    return lines;
  }
}

interface TargetForm {
  readonly target: string;
  readonly authority: string;
}

/** What is needed of every request's headers, found in one pass. */
interface ScannedFields {
  hosts: number;
  host: string;
  cookies: string | undefined;
  contentLength: number | undefined;
  chunked: boolean;
  /** Not forwardable: Transfer-Encoding is hop-by-hop and removed, so the coding would be taken for the content. */
  otherCoding: boolean;
}

function scan(rawHeaders: readonly string[]): ScannedFields {
  const seen: ScannedFields = {
    hosts: 0,
    host: "",
    cookies: undefined,
    contentLength: undefined,
    chunked: false,
    otherCoding: false,
  };
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    const value = rawHeaders[i + 1] ?? "";
    // Compare lengths first: lower-casing every name would dominate the cost of this loop.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== "host") break;
        seen.hosts++;
        seen.host = value;
        break;
      case 6:
        if (name.toLowerCase() !== "cookie") break;
        seen.cookies = seen.cookies === undefined ? value : `${seen.cookies}; ${value}`;
        break;
      case 14:
        if (name.toLowerCase() === "content-length") seen.contentLength = Number(value);
        break;
      case 17:
        if (name.toLowerCase() !== "transfer-encoding") break;
        seen.chunked = true;
        if (value.toLowerCase() !== "chunked") seen.otherCoding = true;
        break;
    }
  }
  return seen;
}

/** RFC 9112 §3.2.2: the target's authority replaces the Host header. */
function absoluteForm(url: string): TargetForm | undefined {
  const match = /^https?:\/\/([^/?#]+)([^#]*)$/i.exec(url);
  const authority = match?.[1];
  if (authority === undefined) return undefined;
  const rest = match?.[2] ?? "";
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority };
}

/** The local reply if a head exceeds a limit. */
export function headRefusal({ target, rawHeaders, cookies }: ReceivedHead, limits: Limits): Refusal | undefined {
  if (target.length > limits.uriBytes) return refusal("uri-too-long", "target-size");
  if (rawHeaders.length > limits.headerCount * 2) return refusal("headers-too-large", "count");
  const hasMany = cookies !== undefined && hasMoreCookies(cookies, limits.cookies);
  return hasMany ? refusal("headers-too-large", "cookies") : undefined;
}

/** llhttp accepts these methods only with RTSP. */
const rtspMethods: ReadonlySet<string> = new Set([
  "DESCRIBE",
  "ANNOUNCE",
  "SETUP",
  "PLAY",
  "PAUSE",
  "TEARDOWN",
  "GET_PARAMETER",
  "SET_PARAMETER",
  "REDIRECT",
  "RECORD",
  "FLUSH",
]);
/** llhttp accepts these with `RTSP/1.0`, `ICE/1.0` and `HTTP/1.0` alike, and does not report which it was. */
const sharedMethods: ReadonlySet<string> = new Set(["OPTIONS", "GET", "POST", "SOURCE"]);

/** Whether the request is not HTTP: llhttp also parses request lines of RTSP and ICE. */
function isOtherProtocol(request: IncomingMessage): boolean {
  const { method = "", url = "", httpVersionMinor } = request;
  if (rtspMethods.has(method)) return true;
  if (httpVersionMinor !== 0 || !sharedMethods.has(method)) return false;
  const bytes = parsedBytes(request);
  if (bytes === undefined) return false;
  const isProtocol = (protocol: string) => bytes.includes(`${method} ${url} ${protocol}/1.0`, 0, "latin1");
  return (isProtocol("RTSP") || isProtocol("ICE")) && !isProtocol("HTTP");
}

/** The part of node's internal HTTP parser that is used here. */
interface Parser {
  getCurrentBuffer?(): Buffer | undefined;
}

const headEnd = "\r\n\r\n";

/** The chunk with the end of this request's head. Available only while node emits the request. */
function parsedBytes({ socket }: IncomingMessage): Buffer | undefined {
  const { parser } = socket as Socket & { readonly parser?: Parser | null };
  return parser?.getCurrentBuffer?.();
}

/** Whether the chunk with the end of the head, or the last one of the body, may contain data after this request. */
export function mayHaveDataBehind(request: IncomingMessage): boolean {
  const bytes = parsedBytes(request);
  const { "transfer-encoding": coding, "content-length": length = "0" } = request.headers;
  if (bytes === undefined || coding !== undefined) return true;
  const end = bytes.indexOf(headEnd);
  return end === -1 || end + headEnd.length + Number(length) !== bytes.length;
}
