import { STATUS_CODES } from "node:http";
import type { ErrorCause, ErrorCode } from "../../errors.ts";
import { fieldLines } from "../../http/header-fields.ts";
import type { Exchange } from "../exchange.ts";
import { BodyParser, type ChunkedSink, maxResponseTrailerBytes, responseBodyCauses } from "../http1/body-parser.ts";
import type { FastResponseField, ResponseParser } from "../http1/response-parser.ts";
import {
  addResponseFields,
  isBodiless,
  passes,
  type ResponseEdit,
  responseEdit,
  responseHeaders,
  responseTrailers,
  type TrailerPlan,
} from "../response-headers.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** Relays an upstream's final response to the client, reframed if necessary. */
export class ResponseRelay {
  readonly status: number;
  /**
   * Whether the upstream connection cannot be reused. Neither after HEAD, nor after a 204 or 304 that announces a body:
   * misbehaving upstreams send one.
   */
  readonly endsConnection: boolean;
  readonly #exchange: Exchange;
  readonly #writer: SocketWriter;
  /** Undefined if the response has no body. */
  readonly #body: BodyParser | undefined;
  /** How the body is framed for the client; `own chunks`: the upstream's body ends with its connection. */
  readonly #frame: "unchanged" | "upstream's chunks" | "own chunks";

  /** From the last parsed head. */
  constructor(exchange: Exchange, { status, chunked, contentLength, closing }: ResponseParser, writer: SocketWriter) {
    const { method } = exchange.head;
    const bodiless = isBodiless(status, method);
    const announcesBody = chunked || (contentLength ?? 0) > 0;
    this.status = status;
    this.#exchange = exchange;
    this.#writer = writer;
    this.#body = bodiless ? undefined : bodyReader(chunked, contentLength);
    const framed = chunked ? "upstream's chunks" : contentLength === undefined ? "own chunks" : "unchanged";
    this.#frame = bodiless ? "unchanged" : framed;
    this.endsConnection = closing || method === "HEAD" || this.#frame === "own chunks" || (bodiless && announcesBody);
  }

  get isComplete(): boolean {
    return this.#body === undefined || this.#body.complete;
  }

  /** The error in the body, if one was found so far. */
  get failure(): ErrorCode | undefined {
    return this.#body?.failure;
  }

  /** The cause of `failure`, which is the upstream's. */
  get cause(): ErrorCause<"upstream-malformed"> | undefined {
    const cause = this.#body?.cause;
    return cause && responseBodyCauses[cause];
  }

  /** Writes the head. Call while the parser still holds it. */
  addHead(responses: ResponseParser, connection: "keep-alive" | "close", date: HttpDate): void {
    this.#writer.addText(
      responseText(this.#exchange, responses, {
        connection,
        coding: this.#frame === "unchanged" ? "none" : "chunked",
        trailers: this.#frame === "upstream's chunks" ? "trailers may follow" : "no trailers",
        date,
      }),
    );
  }

  /** Passes body bytes to `sink`. Returns the position after the last byte of the body. */
  pass(bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    const body = this.#body;
    if (body === undefined) return from;
    const isChunk = this.#frame === "own chunks" && to > from;
    if (isChunk) this.#writer.addText(`${(to - from).toString(16)}\r\n`);
    const end = body.read(bytes, from, to, sink);
    if (isChunk) this.#writer.addText("\r\n");
    this.#exchange.bytesSent = body.bytes;
    return end;
  }

  /** The upstream has closed, which ends a body without a length. */
  closed(): void {
    this.#body?.closed();
  }

  /** Writes what follows a complete body: the last chunk or the trailers. */
  addEnd(): void {
    if (this.#frame === "own chunks") this.#writer.addText("0\r\n\r\n");
    else if (this.#frame === "upstream's chunks") {
      this.#writer.addText(`${fieldLines(responseTrailers(this.#body?.trailers ?? []).flat())}\r\n`);
    }
  }
}

/** A parser for the body of a response. */
export function bodyReader(chunked: boolean, contentLength: number | undefined): BodyParser {
  return new BodyParser(chunked ? "chunked" : (contentLength ?? "until close"), maxResponseTrailerBytes);
}

/** The fields that the lane itself adds to a response's head. */
export interface ResponseFraming {
  readonly connection: "keep-alive" | "close";
  readonly coding: "chunked" | "none";
  readonly trailers: TrailerPlan;
  /** For a response without Date. */
  readonly date: HttpDate;
}

/**
 * The response's head as sent to the client, in canonical form. Call right after the head was read, while the parser
 * still holds it. Consecutive fields that are passed on are one slice of the upstream's head.
 */
function responseText(exchange: Exchange, reader: ResponseParser, framing: ResponseFraming): string {
  const isRewritten = reader.namesFields || !reader.scan.evenlySpaced || exchange.route?.transforms !== undefined;
  let out = isRewritten ? rewritten(exchange, reader, framing) : sliced(exchange, reader, framing);
  if (framing.coding === "none" && reader.hasDate) return out + lastField[framing.connection];
  out += `Connection: ${framing.connection}\r\n`;
  if (!reader.hasDate) out += `Date: ${framing.date.now()}\r\n`;
  return framing.coding === "chunked" ? `${out}Transfer-Encoding: chunked\r\n\r\n` : `${out}\r\n`;
}

const lastField = { "keep-alive": "Connection: keep-alive\r\n\r\n", close: "Connection: close\r\n\r\n" } as const;

/** An unusual reason phrase is replaced: clients should ignore it anyway (RFC 9112 §4). */
function statusLine({ text, status, plainReason, reasonStart, reasonEnd }: ResponseParser): string {
  const reason = plainReason ? text.slice(reasonStart, reasonEnd) : (STATUS_CODES[status] ?? "");
  return `HTTP/1.1 ${status} ${reason}\r\n`;
}

function sliced(exchange: Exchange, reader: ResponseParser, { trailers }: ResponseFraming): string {
  const { scan, text } = reader;
  const edit = responseEdit(exchange, reader.status);
  let out = reader.plainStatusLine ? "" : statusLine(reader);
  let cacheControl: string | undefined;
  let expires = false;
  // A plain status line starts the first kept slice.
  let keptFrom = reader.plainStatusLine ? 0 : -1;
  for (let field = 0; field < scan.count; field++) {
    const kind = reader.kind(field);
    if (kind === "expires") expires = true;
    if (isPassed(kind, edit, trailers)) {
      if (keptFrom < 0) keptFrom = scan.start(field);
      continue;
    }
    if (keptFrom >= 0) out += text.slice(keptFrom, scan.start(field));
    keptFrom = -1;
    if (kind === "cache-control") {
      cacheControl = cacheControl === undefined ? reader.value(field) : `${cacheControl}, ${reader.value(field)}`;
    }
  }
  if (keptFrom >= 0) out += text.slice(keptFrom, reader.headLength - 2);
  if (edit.privacy === "none") {
    return edit.exposedVersion === undefined ? out : `${out}x-perch-version: ${edit.exposedVersion}\r\n`;
  }
  if (edit.privacy === "always" && cacheControl === undefined && edit.setCookie === undefined) {
    const version = edit.exposedVersion === undefined ? "" : `x-perch-version: ${edit.exposedVersion}\r\n`;
    return `${out}Cache-Control: private\r\n${version}`;
  }
  const added: string[] = [];
  addResponseFields(edit, cacheControl, expires, added);
  return out + fieldLines(added);
}

function isPassed(kind: FastResponseField, edit: ResponseEdit, trailers: TrailerPlan): boolean {
  switch (kind) {
    case "date":
      return true;
    case "transfer-encoding":
    case "keep-alive":
      return false;
    default:
      return passes(kind, edit, trailers);
  }
}

/** The slow path, field by field as in the standard lane: uneven spacing, named hop-by-hop fields, or route changes. */
function rewritten(exchange: Exchange, reader: ResponseParser, { trailers }: ResponseFraming): string {
  return statusLine(reader) + fieldLines(responseHeaders(exchange, reader.status, reader.flat(), trailers));
}

/** The Date of a response (RFC 9110 §5.6.7), formatted once per second. */
export class HttpDate {
  readonly #nowMs: () => number;
  #second = -1;
  #text = "";

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  now(): string {
    const second = Math.floor(this.#nowMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}
