import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { PerchError } from "../../errors.ts";
import { parseAuthority } from "../../http/authority.ts";
import { repeated } from "../../http/request-head.ts";
import type { LocalResponse } from "../local-reply.ts";
import type { ClientSide } from "./client.ts";
import type { ReceivedHead } from "./request-head.ts";

/** A head that waits for the end of the turn, in which the end of the stream may come along. */
interface PendingHead {
  readonly fields: string[];
  readonly waitForTrailers: boolean;
}

/** A client whose request is a stream of an HTTP/2 connection. */
export class Http2Client implements ClientSide {
  readonly accept: string | undefined;
  readonly dialect: "http" | "grpc";
  readonly knowsInterim = true;
  readonly trailers: (() => readonly string[]) | undefined;
  status = 0;
  ended = false;
  readonly #stream: ServerHttp2Stream;
  readonly #hasBody: boolean;
  #pending: PendingHead | undefined;
  #isWatched = false;
  #trailers: readonly string[] = [];

  constructor(stream: ServerHttp2Stream, head: Http2Head | undefined, body: "follows" | "none") {
    this.#stream = stream;
    this.#hasBody = body === "follows";
    this.accept = textOf(head?.header("accept"));
    this.dialect = grpcType.test(textOf(head?.header("content-type")) ?? "") ? "grpc" : "http";
    this.trailers = this.#hasBody ? () => this.#trailers : undefined;
    stream.on("trailers", (_trailers: unknown, _flags: unknown, raw: string[]) => {
      this.#trailers = raw;
    });
    // A reset is told by `close` as well.
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
    this.#inform({ ":status": 100 });
  }

  sendProcessing(): void {
    this.#inform({ ":status": 102 });
  }

  sendEarlyHints(links: readonly string[]): void {
    this.#inform({ ":status": 103, link: links.join(", ") });
  }

  sendHead(status: number, _reason: string | undefined, fields: string[], trailers: "may follow" | "none"): void {
    if (status > 599) throw new PerchError("upstream-malformed");
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
    // The client is told to send no more of a body that nobody reads (RFC 9113 §8.1).
    if (!this.requestComplete) this.#stream.once("finish", () => setImmediate(() => this.#stop()));
  }

  sendOwn(answer: LocalResponse): void {
    this.sendHead(answer.status, undefined, answer.headers, "none");
    this.end(answer.body === "" ? undefined : Buffer.from(answer.body));
    if (this.isBehind) this.watchSilence(readerSilenceMs, () => this.cut());
  }

  closeBehindAnswer(): void {}

  closeNow(): void {
    this.cut();
  }

  watchSilence(ms: number, silent: () => void): void {
    if (!this.#isWatched) this.#stream.on("timeout", silent);
    this.#isWatched = true;
    this.#stream.setTimeout(ms);
  }

  cut(): void {
    // Not `close`, which ends the stream before it resets it: a body that broke off would be taken for a whole one.
    this.#stream.destroy(brokenOff);
  }

  #inform(fields: OutgoingHttpHeaders): void {
    if (this.#isOpen && !this.headSent) this.#guarded(() => this.#stream.additionalHeaders(fields));
  }

  #respond(rest: "body follows" | "nothing follows"): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || !this.#isOpen) return;
    const { fields, waitForTrailers } = pending;
    // Ending with the head is what makes a gRPC answer one of trailers only.
    const options = rest === "nothing follows" ? { endStream: true } : { waitForTrailers };
    this.#guarded(() => this.#stream.respond(fields, options));
  }

  /** Node refuses some fields by an exception, at a time when nobody would catch it. */
  #guarded(send: () => void): void {
    try {
      send();
    } catch {
      this.cut();
    }
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  #stop(): void {
    if (this.#isOpen) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Becomes INTERNAL_ERROR on the wire. */
const brokenOff = new Error("The answer broke off.");

/** Beside what no client gets: the length of a body that there can not be makes an answer malformed (RFC 9110 §8.6). */
function isUnsendable(name: string, status: number): boolean {
  return name === "http2-settings" || (name === "content-length" && (status === 204 || status === 205));
}

/** With whatever encodes its messages, but not grpc-web, which has trailers in its body. */
const grpcType = /^application\/grpc(?:$|[+;])/i;

/** How long a client may leave an own answer untaken. */
const readerSilenceMs = 60_000;

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Origin-form, of the bytes that HTTP/1.1's parser lets through: an HTTP/1.1 upstream must get the same. */
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

/** The bytes of a head as HTTP/1.1 would write it: one limit for both. */
export function fieldBytes(fields: readonly string[]): number {
  let bytes = 0;
  for (const part of fields) bytes += part.length + 2;
  return bytes;
}

/** Trailers as node:http2 takes them: repeated fields in a list, and none that it refuses. */
export function trailerFields(trailers: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of trailers) {
    const key = name.toLowerCase();
    if (key === "http2-settings") continue;
    const before = fields[key];
    if (before === undefined) fields[key] = value;
    else fields[key] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return fields;
}
