import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { ErrorCause } from "../../errors.ts";
import { parseAuthority } from "../../http/authority.ts";
import { hasBlankEdges } from "../../http/header-fields.ts";
import { repeated } from "../../http/request-head.ts";
import { malformed } from "../attempt-failure.ts";
import type { LocalResponse } from "../local-reply.ts";
import type { ClientSide } from "./client.ts";
import { exceedsHttp2 } from "./http2-head-limits.ts";
import { type ReceivedHead, type RejectedHead, rejectedHead } from "./request-head.ts";

/** A head held back until the next tick, in case the response ends with it. */
interface PendingHead {
  readonly fields: string[];
  readonly waitForTrailers: boolean;
}

/** The client's side of a request that is an HTTP/2 stream. */
export class Http2Client implements ClientSide {
  readonly accept: string | undefined;
  readonly dialect: "http" | "grpc";
  readonly supportsInterim = true;
  readonly trailers: (() => readonly string[]) | undefined;
  status = 0;
  ended = false;
  readonly #stream: ServerHttp2Stream;
  readonly #hasBody: boolean;
  #pending: PendingHead | undefined;
  #isWatched = false;
  #hintBytes = 0;
  #trailers: readonly string[] = [];

  constructor(stream: ServerHttp2Stream, head: Http2Head | undefined, body: "follows" | "none") {
    this.#stream = stream;
    this.#hasBody = body === "follows";
    this.accept = textOf(head?.header("accept"));
    this.dialect = grpcType.test(textOf(head?.header("content-type")) ?? "") ? "grpc" : "http";
    this.trailers = this.#hasBody ? () => this.#trailers : undefined;
    stream.on("trailers", (_trailers: unknown, _flags: unknown, raw: string[]) => {
      if (hasBlankEdges(raw)) stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
      else this.#trailers = raw;
    });
    // `close` follows every error.
    stream.on("error", () => {});
  }

  get body(): Readable {
    return this.#stream;
  }

  get requestComplete(): boolean {
    return !this.#hasBody || this.#stream.readableEnded;
  }

  get headSent(): boolean {
    return this.status !== 0;
  }

  get finished(): boolean {
    return this.ended && this.#stream.writableFinished;
  }

  get isBehind(): boolean {
    return this.#stream.writableNeedDrain || (this.ended && !this.#stream.writableFinished);
  }

  sendContinue(): void {
    this.#sendInterim({ ":status": 100 });
  }

  sendProcessing(): void {
    if (this.#takesMoreFrames) this.#sendInterim({ ":status": 102 });
  }

  sendEarlyHints(links: readonly string[]): void {
    const link = links.join(", ");
    this.#hintBytes += link.length;
    if (this.#takesMoreFrames && this.#hintBytes <= maxHintBytes) this.#sendInterim({ ":status": 103, link });
  }

  /** HEADERS are not subject to flow control, so a client that does not read would have them queued without limit. */
  get #takesMoreFrames(): boolean {
    return (this.#stream.session?.state.outboundQueueSize ?? 0) < maxQueuedFrames;
  }

  sendHead(status: number, _reason: string | undefined, fields: string[], trailers: "may follow" | "none"): void {
    if (status > 599) throw malformed("invalid-status");
    if (exceedsHttp2(fields)) throw malformed("head-too-large");
    const raw = [":status", String(status)];
    for (let i = 0; i < fields.length; i += 2) {
      const name = (fields[i] ?? "").toLowerCase();
      if (!isUnsendable(name, status)) raw.push(name, fields[i + 1] ?? "");
    }
    this.status = status;
    this.#pending = { fields: raw, waitForTrailers: trailers === "may follow" };
  }

  flushHead(): void {
    this.#respond("body follows");
  }

  send(chunk: Buffer): boolean {
    this.#respond("body follows");
    return this.#stream.writableEnded || this.#stream.write(chunk);
  }

  onceDrained(drained: () => void): void {
    this.#stream.once("drain", drained);
  }

  end(chunk?: Buffer, trailers: readonly [string, string][] = []): void {
    this.ended = true;
    this.#stream.once("wantTrailers", () => this.#guarded(() => this.#stream.sendTrailers(trailerFields(trailers))));
    this.#respond(chunk === undefined && trailers.length === 0 ? "nothing follows" : "body follows");
    if (!this.#stream.writableEnded) this.#stream.end(chunk);
    // Asks the client to stop sending the rest of its body (RFC 9113 §8.1).
    if (!this.requestComplete) this.#stream.once("finish", () => setImmediate(() => this.#stopUpload()));
  }

  sendLocal(local: LocalResponse): void {
    this.sendHead(local.status, undefined, local.headers, "none");
    this.end(local.body === "" ? undefined : Buffer.from(local.body));
    if (this.isBehind) this.watchIdle(localReplyTimeoutMs, () => this.abort());
  }

  closeAfterResponse(): void {}

  closeNow(): void {
    this.abort();
  }

  watchIdle(ms: number, onIdle: () => void): void {
    if (!this.#isWatched) this.#stream.on("timeout", onIdle);
    this.#isWatched = true;
    this.#stream.setTimeout(ms);
  }

  abort(): void {
    // Not `close`: it sends END_STREAM before the reset, so a truncated body would look complete.
    this.#stream.destroy(responseAborted);
  }

  #sendInterim(fields: OutgoingHttpHeaders): void {
    if (this.#isOpen && !this.headSent) this.#guarded(() => this.#stream.additionalHeaders(fields));
  }

  #respond(rest: "body follows" | "nothing follows"): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || !this.#isOpen) return;
    const { fields, waitForTrailers } = pending;
    // Ending the stream with the head makes a gRPC response trailers-only.
    const options = rest === "nothing follows" ? { endStream: true } : { waitForTrailers };
    this.#guarded(() => this.#stream.respond(fields, options));
  }

  /** node throws for invalid fields, here outside of any caller that could catch it. */
  #guarded(send: () => void): void {
    try {
      send();
    } catch {
      this.abort();
    }
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  #stopUpload(): void {
    if (this.#isOpen) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Frames queued on a connection for a client that does not read. Above this, optional interim responses are dropped. */
const maxQueuedFrames = 64;

/** Maximum size of all hints to one request, and less than HTTP/2 can carry: they wait in memory if the client does not read. */
const maxHintBytes = 64 * 1024;

/** Sent as INTERNAL_ERROR. */
const responseAborted = new Error("The response was aborted.");

/** node rejects HTTP2-Settings. Content-Length is not allowed in a response that cannot have a body (RFC 9110 §8.6). */
function isUnsendable(name: string, status: number): boolean {
  return name === "http2-settings" || (name === "content-length" && (status === 204 || status === 205));
}

/** With any message encoding (`+proto`), but not grpc-web, whose trailers are in the body. */
const grpcType = /^application\/grpc(?:$|[+;])/i;

/** How long a client may take to read a local reply. */
const localReplyTimeoutMs = 60_000;

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Origin-form with the bytes that the HTTP/1.1 parser accepts, since the upstream may speak HTTP/1.1. */
const originForm = /^\/[\x21\x22\x24-\x7e]*$/;

/**
 * A request head decoded by node:http2, which has already reset streams that violate HTTP/2: connection-specific
 * fields, upper-case names, unknown, repeated or misplaced pseudo-header fields, a Content-Length other than the
 * body's.
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

  private constructor(seen: ScannedFields, host: string, rawHeaders: readonly string[], hasBody: boolean) {
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
   * `fields`: all fields, flat, with pseudo-header fields. Rejected if Perch does not forward such a request: CONNECT,
   * a scheme other than http and https, a path that is not origin-form or has a fragment, a missing or invalid
   * authority, or a Host that differs from `:authority` (RFC 9113 §8.3.1).
   */
  static read(fields: readonly string[], body: "follows" | "none"): Http2Head | RejectedHead {
    const rawHeaders: string[] = [];
    const seen = scan(fields, rawHeaders);
    const { method, path, authority, host } = seen;
    const parsed = parseAuthority(authority ?? host);
    const fault = faultOf(seen) ?? (parsed === undefined ? "invalid-host" : undefined);
    return fault === undefined && parsed !== undefined
      ? new Http2Head(seen, parsed.host, rawHeaders, body === "follows")
      : rejectedHead(fault ?? "other", method, authority ?? host, path);
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

type Fault = ErrorCause<"bad-request">;

/** What is needed of every request's fields, found in one pass. */
interface ScannedFields {
  method: string;
  scheme: string;
  path: string;
  authority: string | undefined;
  hosts: number;
  host: string;
  /** Its index in the raw headers; -1: none. */
  cookie: number;
  contentLength: number | undefined;
}

/** Why Perch does not forward a request, apart from its host being invalid. */
function faultOf({ method, scheme, path, authority, hosts, host, contentLength }: ScannedFields): Fault | undefined {
  if (method === "") return "invalid-method";
  if (method === "CONNECT") return "unsupported-method";
  if (scheme !== "http" && scheme !== "https") return "invalid-target";
  if (!originForm.test(path)) return path.startsWith("/") ? "invalid-target-character" : "invalid-target";
  if (hosts > 1) return "several-hosts";
  if (authority === undefined && hosts === 0) return "missing-host";
  if (authority !== undefined && hosts === 1 && authority.toLowerCase() !== host.toLowerCase())
    return "conflicting-hosts";
  return contentLength === undefined || Number.isSafeInteger(contentLength) ? undefined : "invalid-content-length";
}

/** Appends all but the pseudo-header fields to `rawHeaders`, and joins Cookie fields into one (RFC 9113 §8.2.3). */
function scan(fields: readonly string[], rawHeaders: string[]): ScannedFields {
  const seen: ScannedFields = {
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

/** The size of a head in HTTP/1.1 format, so that one limit applies to both versions. */
export function fieldBytes(fields: readonly string[]): number {
  let bytes = 0;
  for (const part of fields) bytes += part.length + 2;
  return bytes;
}

/** Trailers in the format of node:http2: repeated fields as lists, without those that it rejects. */
export function trailerFields(trailers: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of trailers) {
    const key = name.toLowerCase();
    if (key === "http2-settings") continue;
    const present = fields[key];
    if (present === undefined) fields[key] = value;
    else fields[key] = Array.isArray(present) ? [...present, value] : [present, value];
  }
  return fields;
}
