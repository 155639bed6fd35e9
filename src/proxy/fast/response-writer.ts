import { STATUS_CODES } from "node:http";
import type { ErrorCode } from "../../errors.ts";
import type { Exchange } from "../exchange.ts";
import {
  addResponseFields,
  passes,
  type ResponseEdit,
  responseEdit,
  responseHeaders,
  responseTrailers,
  type TrailerPlan,
} from "../response-headers.ts";
import { BodyParser, type ChunkedSink } from "./body-parser.ts";
import { type FastResponseField, type ResponseParser, responseHeadBytes } from "./response-parser.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** An upstream's final answer on its way to the client, in a frame that the client understands. */
export class ResponseRelay {
  readonly status: number;
  /** Whether the upstream's connection is of no use after it. Misbehaving upstreams send a body with their answer to HEAD. */
  readonly endsConnection: boolean;
  readonly #exchange: Exchange;
  readonly #writer: SocketWriter;
  /** Undefined where none follows the head. */
  readonly #body: BodyParser | undefined;
  /** Chunks are put round a body that the upstream sends until it closes. */
  readonly #frame: "as it came" | "upstream's chunks" | "own chunks";

  /** Of the head that was read last. */
  constructor(exchange: Exchange, { status, chunked, contentLength, closing }: ResponseParser, writer: SocketWriter) {
    const isHead = exchange.head.method === "HEAD";
    const bodiless = isHead || status === 204 || status === 304;
    this.status = status;
    this.#exchange = exchange;
    this.#writer = writer;
    this.#body = bodiless ? undefined : bodyReader(chunked, contentLength);
    const framed = chunked ? "upstream's chunks" : contentLength === undefined ? "own chunks" : "as it came";
    this.#frame = bodiless ? "as it came" : framed;
    this.endsConnection = closing || isHead || this.#frame === "own chunks";
  }

  get isComplete(): boolean {
    return this.#body === undefined || this.#body.complete;
  }

  /** What is wrong with the body; undefined where nothing is so far. */
  get failure(): ErrorCode | undefined {
    return this.#body?.failure;
  }

  /** Adds the head. To be asked while the reader still holds it. */
  addHead(responses: ResponseParser, connection: "keep-alive" | "close", date: HttpDate): void {
    this.#writer.addText(
      responseText(this.#exchange, responses, {
        connection,
        coding: this.#frame === "as it came" ? "none" : "chunked",
        trailers: this.#frame === "upstream's chunks" ? "trailers may follow" : "no trailers",
        date,
      }),
    );
  }

  /** Adds of the body what came, through `sink`. Answers with the position after the last byte that belongs to it. */
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

  /** The upstream has closed: the end of a body that lasts until then. */
  closed(): void {
    this.#body?.closed();
  }

  /** Adds what follows a complete body. */
  addEnd(): void {
    if (this.#frame === "own chunks") this.#writer.addText("0\r\n\r\n");
    else if (this.#frame === "upstream's chunks") {
      this.#writer.addText(`${lines(responseTrailers(this.#body?.trailers ?? []).flat())}\r\n`);
    }
  }
}

/** Of the body that follows a response's head. */
export function bodyReader(chunked: boolean, contentLength: number | undefined): BodyParser {
  return new BodyParser(chunked ? "chunked" : (contentLength ?? "until close"), responseHeadBytes);
}

/** What the lane itself says in a response's head. */
export interface ResponseFraming {
  readonly connection: "keep-alive" | "close";
  readonly coding: "chunked" | "none";
  readonly trailers: TrailerPlan;
  /** Now: written where the upstream gave no date. */
  readonly date: HttpDate;
}

/**
 * The response's head as the client gets it, in the canonical form. To be asked right after the head was read, while the
 * reader still holds it. Fields that pass one after the other are one slice of the upstream's own head.
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

/** The upstream's own words mean nothing to a program (RFC 9112 §4). */
function statusLine({ text, status, plainReason, reasonStart, reasonEnd }: ResponseParser): string {
  const reason = plainReason ? text.slice(reasonStart, reasonEnd) : (STATUS_CODES[status] ?? "");
  return `HTTP/1.1 ${status} ${reason}\r\n`;
}

function sliced(exchange: Exchange, reader: ResponseParser, { trailers }: ResponseFraming): string {
  const { scan, text } = reader;
  const edit = responseEdit(exchange);
  let out = reader.plainStatusLine ? "" : statusLine(reader);
  let cacheControl: string | undefined;
  // A plain status line is the first of what is kept.
  let keptFrom = reader.plainStatusLine ? 0 : -1;
  for (let field = 0; field < scan.count; field++) {
    const kind = reader.kind(field);
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
  if (edit.setCookie === undefined) {
    return edit.exposedVersion === undefined ? out : `${out}x-perch-version: ${edit.exposedVersion}\r\n`;
  }
  const added: string[] = [];
  addResponseFields(edit, cacheControl, added);
  return out + lines(added);
}

function isPassed(kind: FastResponseField, edit: ResponseEdit, trailers: TrailerPlan): boolean {
  switch (kind) {
    case "content-length":
    case "date":
      return true;
    case "transfer-encoding":
    case "keep-alive":
      return false;
    default:
      return passes(kind, edit, trailers);
  }
}

/** For heads that are unevenly spaced, whose Connection names fields, or that the route changes: field by field, as the standard lane does. */
function rewritten(exchange: Exchange, reader: ResponseParser, { trailers }: ResponseFraming): string {
  return statusLine(reader) + lines(responseHeaders(exchange, reader.flat(), trailers));
}

/** Fields of a flat list as they stand in a head. */
export function lines(fields: readonly string[]): string {
  let out = "";
  for (let i = 0; i < fields.length; i += 2) out += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return out;
}

/** The date of a response (RFC 9110 §5.6.7), made once a second. */
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
