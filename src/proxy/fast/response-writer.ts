import { STATUS_CODES } from "node:http";
import type { ErrorCause, ErrorCode } from "../../errors.ts";
import { fieldLines } from "../../http/header-fields.ts";
import type { Exchange } from "../exchange.ts";
import { BodyParser, maxResponseTrailerBytes, nowhere, responseBodyCauses } from "../http1/body-parser.ts";
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

/** Relays one final response of an upstream after the other to clients, reframed if necessary. */
export class ResponseRelay {
  /**
   * Whether the upstream connection cannot be reused. Neither after HEAD, nor after a 204 or 304 that announces a body:
   * misbehaving upstreams send one.
   */
  endsConnection = false;
  /** Of the last response that had one. */
  #parser: BodyParser | undefined;
  #hasBody = false;
  /** How the body is framed for the client; `own chunks`: the upstream's body ends with its connection. */
  #frame: "unchanged" | "upstream's chunks" | "own chunks" = "unchanged";

  /** Begins a response to a request of this method, from the last parsed head. */
  restart(method: string, { status, chunked, contentLength, closing }: ResponseParser): void {
    const bodiless = isBodiless(status, method);
    const announcesBody = chunked || (contentLength ?? 0) > 0;
    this.#hasBody = !bodiless;
    if (!bodiless) this.#beginBody(chunked ? "chunked" : (contentLength ?? "until close"));
    const framed = chunked ? "upstream's chunks" : contentLength === undefined ? "own chunks" : "unchanged";
    this.#frame = bodiless ? "unchanged" : framed;
    this.endsConnection = closing || method === "HEAD" || this.#frame === "own chunks" || (bodiless && announcesBody);
  }

  #beginBody(framing: BodyParser["framing"]): void {
    if (this.#parser === undefined) this.#parser = new BodyParser(framing, maxResponseTrailerBytes);
    else this.#parser.restart(framing, maxResponseTrailerBytes);
  }

  /** Undefined if the response has no body. */
  #body(): BodyParser | undefined {
    return this.#hasBody ? this.#parser : undefined;
  }

  get isComplete(): boolean {
    return !this.#hasBody || this.#parser?.complete === true;
  }

  /** The error in the body, if one was found so far. */
  get failure(): ErrorCode | undefined {
    return this.#body()?.failure;
  }

  /** The cause of `failure`, which is the upstream's. */
  get cause(): ErrorCause<"upstream-malformed"> | undefined {
    const cause = this.#body()?.cause;
    return cause && responseBodyCauses[cause];
  }

  /** Writes the head. Call while the parser still holds it. */
  addHead(
    writer: SocketWriter,
    exchange: Exchange,
    responses: ResponseParser,
    connection: "keep-alive" | "close",
    date: HttpDate,
  ): void {
    const coding = this.#frame === "unchanged" ? "none" : "chunked";
    const trailers = this.#frame === "upstream's chunks" ? "trailers may follow" : "no trailers";
    addResponseHead(writer, exchange, responses, trailers);
    if (coding === "none" && responses.hasDate) {
      writer.addView(lastField[connection]);
      return;
    }
    writer.addText(`Connection: ${connection}\r\n`);
    if (!responses.hasDate) writer.addText(`Date: ${date.now()}\r\n`);
    writer.addText(coding === "chunked" ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
  }

  /** Passes body bytes on. Returns the position after the last byte of the body. */
  pass(writer: SocketWriter, bytes: Buffer, from: number, to: number): number {
    const body = this.#body();
    if (body === undefined) return from;
    const isChunk = this.#frame === "own chunks" && to > from;
    if (isChunk) writer.addText(`${(to - from).toString(16)}\r\n`);
    const end = body.read(bytes, from, to, writer);
    if (isChunk) writer.addText("\r\n");
    return end;
  }

  /** How much of the body was passed on. */
  get bytes(): number {
    return this.#body()?.bytes ?? 0;
  }

  /** The upstream has closed, which ends a body without a length. */
  closed(): void {
    this.#body()?.closed();
  }

  /** Writes what follows a complete body: the last chunk or the trailers. */
  addEnd(writer: SocketWriter): void {
    if (this.#frame === "own chunks") writer.addText("0\r\n\r\n");
    else if (this.#frame === "upstream's chunks") {
      writer.addText(`${fieldLines(responseTrailers(this.#body()?.trailers ?? []).flat())}\r\n`);
    }
  }
}

/** Relays that no response uses; few, so that the same memory serves them all. */
export class RelayPool {
  readonly #free: ResponseRelay[] = [];

  take(): ResponseRelay {
    return this.#free.pop() ?? new ResponseRelay();
  }

  putBack(relay: ResponseRelay): void {
    if (this.#free.length < maxFree) this.#free.push(relay);
  }
}

const maxFree = 64;

/** Where the body of the response that was parsed last ends; undefined if it has not arrived as a whole. */
export function endOfWhole(
  { chunked, contentLength }: ResponseParser,
  bytes: Buffer,
  from: number,
  to: number,
): number | undefined {
  const body = new BodyParser(chunked ? "chunked" : (contentLength ?? "until close"), maxResponseTrailerBytes);
  const end = body.read(bytes, from, to, nowhere);
  return body.complete ? end : undefined;
}

const lastField = {
  "keep-alive": Buffer.from("Connection: keep-alive\r\n\r\n"),
  close: Buffer.from("Connection: close\r\n\r\n"),
} as const;
const privateField = Buffer.from("Cache-Control: private\r\n");

/**
 * The response's head as sent to the client, in canonical form, without the fields of the connection. Call right after
 * the head was read, while the parser still holds it.
 */
function addResponseHead(
  writer: SocketWriter,
  exchange: Exchange,
  reader: ResponseParser,
  trailers: TrailerPlan,
): void {
  const isRewritten = reader.namesFields || !reader.scan.evenlySpaced || exchange.route?.transforms !== undefined;
  if (isRewritten) {
    // Field by field, as in the standard lane.
    const fields = responseHeaders(exchange, reader.status, reader.flat(), trailers);
    writer.addText(statusLine(reader) + fieldLines(fields));
    return;
  }
  const edit = responseEdit(exchange, reader.status);
  const cacheControl = copyFields(writer, reader, edit, trailers);
  const { privacy, exposedVersion, setCookie } = edit;
  if (privacy === "none" && exposedVersion === undefined) return;
  if (privacy === "always" && cacheControl === undefined && setCookie === undefined && exposedVersion === undefined) {
    writer.addView(privateField);
    return;
  }
  const added: string[] = [];
  addResponseFields(edit, cacheControl, reader.hasExpires, added);
  writer.addText(fieldLines(added));
}

/**
 * The status line and the fields that are passed on; consecutive ones are one copy. Returns the upstream's Cache-Control,
 * if that is not passed on.
 */
function copyFields(
  writer: SocketWriter,
  reader: ResponseParser,
  edit: ResponseEdit,
  trailers: TrailerPlan,
): string | undefined {
  const { scan, bytes, start } = reader;
  if (!reader.plainStatusLine) writer.addText(statusLine(reader));
  let cacheControl: string | undefined;
  // A plain status line starts the first run that is kept.
  let keptFrom = reader.plainStatusLine ? 0 : -1;
  for (let field = 0; field < scan.count; field++) {
    const kind = scan.kindIndex(field) === 0 ? "keep" : reader.kind(field);
    if (kind === "keep" || isPassed(kind, edit, trailers)) {
      if (keptFrom < 0) keptFrom = scan.start(field);
      continue;
    }
    if (keptFrom >= 0) writer.addBytes(bytes, start + keptFrom, start + scan.start(field));
    keptFrom = -1;
    if (kind === "cache-control") {
      cacheControl = cacheControl === undefined ? reader.value(field) : `${cacheControl}, ${reader.value(field)}`;
    }
  }
  if (keptFrom >= 0) writer.addBytes(bytes, start + keptFrom, reader.end - 2);
  return cacheControl;
}

/** An unusual reason phrase is replaced: clients should ignore it anyway (RFC 9112 §4). */
function statusLine(reader: ResponseParser): string {
  const { status, plainReason, reasonStart, reasonEnd } = reader;
  const reason = plainReason ? reader.text(reasonStart, reasonEnd) : (STATUS_CODES[status] ?? "");
  return `HTTP/1.1 ${status} ${reason}\r\n`;
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
