import { fieldLines } from "../../http/header-fields.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import type { BodyParser, ChunkedSink } from "../http1/body-parser.ts";
import type { Mirror, Mirroring } from "../mirror.ts";
import {
  attemptFields,
  copyFields,
  joinedBaggage,
  propagatedFields,
  upstreamCookies,
  upstreamTarget,
  upstreamVia,
} from "../request-headers.ts";
import type { FastHead } from "./fast-head.ts";
import { type ConnectionLines, openingText } from "./forwarded-lines.ts";
import { type BodyTarget, GatheredBody } from "./gathered-body.ts";
import { type HeadTarget, HeadText } from "./head-target.ts";
import type { RequestParser } from "./request-parser.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** One request to an endpoint: its head, and the part of its body received so far. */
export class UpstreamRequest {
  /** Undefined if the request has no body. */
  body: BodyParser | undefined;
  #exchange!: Exchange;
  #head!: FastHead;
  readonly #reader: RequestParser;
  #lines!: ConnectionLines;
  /** Body bytes received before there was a connection; all of them if kept for a retry. */
  readonly #gathered = new GatheredBody();
  /** Maximum body bytes to keep for another attempt; 0: none, or the limit was exceeded. */
  #keptBytes = 0;
  #mirror: Mirror | undefined;

  constructor(reader: RequestParser) {
    this.#reader = reader;
  }

  /** For another request. `head`: as the client sent it; `lines`: of the client's connection. */
  restart(
    exchange: Exchange,
    attempts: Attempts,
    head: FastHead,
    body: BodyParser | undefined,
    lines: ConnectionLines,
  ): void {
    this.#exchange = exchange;
    this.#head = head;
    this.#lines = lines;
    this.release();
    this.body = body;
    this.#keptBytes = body === undefined ? 0 : attempts.keptBodyBytes;
    this.#mirror = undefined;
  }

  /** The request is over: lets go of what was kept of its body. */
  release(): void {
    if (this.body !== undefined) this.#gathered.clear();
    this.body = undefined;
  }

  /** Whether further bytes from the client still belong to this request. */
  get awaitsBody(): boolean {
    return this.body !== undefined && !this.body.complete;
  }

  /** Whether the request is replayable for another attempt. */
  get isKept(): boolean {
    return this.body === undefined || this.#keptBytes > 0;
  }

  /** False until the first byte of a chunked body: before that it may turn out to be empty. */
  get mayBeSent(): boolean {
    const { body } = this;
    return body === undefined || body.complete || body.framing !== "chunked" || body.bytes > 0;
  }

  /** Adds the first write to a connection: the head, and the body bytes received so far. */
  addOpening(out: HeadTarget & BodyTarget, connection: "keep-alive" | "close"): void {
    const { head, route, trace } = this.#exchange;
    const { body } = this;
    // Misbehaving upstreams send a body in response to HEAD, which would be parsed as the next response.
    const kept = head.method === "HEAD" ? "close" : connection;
    if (route?.transforms === undefined) {
      addHead(out, this.#exchange, this.#head, this.#reader, this.#lines, kept);
      // Each attempt has its own parent span.
      if (trace !== undefined) out.addText(fieldLines(trace.fields()));
    } else out.addText(this.#changedHead(kept));
    if (body === undefined || (body.complete && body.bytes === 0)) addFraming(out, head.method, "none");
    else {
      addFraming(out, head.method, body.framing === "until close" ? "none" : body.framing);
      this.#gathered.passTo(out);
    }
  }

  /** The head as text, before what the route changes in it. */
  #headText(): string {
    const head = new HeadText();
    addHead(head, this.#exchange, this.#head, this.#reader, this.#lines, "keep-alive");
    return head.text;
  }

  /** The head with the route's changes for the current attempt. */
  #changedHead(connection: "keep-alive" | "close"): string {
    const text = this.#headText();
    const line = text.slice(0, text.indexOf("\r\n") + 2);
    const [, host = "", ...fields] = attemptFields(this.#exchange, fieldsOf(text));
    return `${line}${openingText(host, connection)}${fieldLines(fields)}`;
  }

  /** The opening was written: starts the mirrored request, if any, and drops what need not be kept. */
  opened(): void {
    const mirroring = this.#exchange.route?.mirroring;
    if (mirroring !== undefined && this.#mirror === undefined) this.#beginMirror(mirroring);
    this.#enforceKeepLimit();
  }

  /** Keeps body bytes while there is no connection; `settle` must follow in this event. Returns the position after them. */
  gather(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = this.#read(body, bytes, from, to, this.#gathered);
    if (body.complete && body.failure === undefined) this.#gathered.ended(bodyEnd(body));
    return end;
  }

  /** The event ends that brought the bytes which were gathered last. */
  settle(): void {
    this.#gathered.settle();
  }

  /** Passes body bytes on; they are sent with the writer's next flush. Returns the position after them. */
  pass(body: BodyParser, bytes: Buffer, from: number, to: number, writer: SocketWriter): number {
    const end = this.#read(body, bytes, from, to, this.#keptBytes > 0 ? this.#keeping(writer) : writer);
    if (body.complete && body.failure === undefined) {
      writer.addText(bodyEnd(body));
      if (this.#keptBytes > 0) this.#gathered.ended(bodyEnd(body));
    }
    return end;
  }

  #beginMirror({ version }: Mirroring): void {
    const { body } = this;
    const { framing } = body ?? {};
    this.#mirror = this.#exchange.mirror(() => ({
      method: this.#exchange.head.method,
      target: upstreamTarget(this.#exchange),
      headersFor: (endpoint) => copyFields(this.#exchange, fieldsOf(this.#headText()), version, endpoint),
      body: typeof framing === "number" && framing > 0 ? framing : "none",
    }));
    if (this.#mirror === undefined || body === undefined) return;
    if (body.bytes > 0) this.#mirror.bytes(this.#gathered.content());
    if (body.complete) this.#mirror.bodyEnded();
  }

  /** Passes bytes on and keeps them too, up to the limit. */
  #keeping(writer: SocketWriter): ChunkedSink {
    return {
      passBytes: (bytes, from, to) => {
        writer.passBytes(bytes, from, to);
        this.#gathered.keep(bytes, from, to);
        this.#enforceKeepLimit();
      },
    };
  }

  #enforceKeepLimit(): void {
    if (this.body === undefined || this.body.bytes <= this.#keptBytes) return;
    this.#keptBytes = 0;
    this.#gathered.clear();
  }

  #read(body: BodyParser, bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    const end = body.read(bytes, from, to, sink);
    this.#exchange.bytesReceived = body.bytes;
    // Only bodies with a length are mirrored, so the bytes read are content without framing.
    if (this.#mirror !== undefined) {
      this.#mirror.bytes(Buffer.from(bytes.subarray(from, end)));
      if (body.complete) this.#mirror.bodyEnded();
    }
    return end;
  }
}

/** Trailer fields of requests are not passed on. */
function bodyEnd(body: BodyParser): string {
  return body.framing === "chunked" ? "\r\n" : "";
}

/** Methods for which an empty body is sent as `content-length: 0` (RFC 9110 §8.6). */
const bodyExpected: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

const cookieName = Buffer.from("Cookie: ");
const lineEnd = Buffer.from("\r\n");
/** The end of the request id's line, and the Via line of a request that arrived without one. */
const ownVia = Buffer.from(`\r\nVia: ${upstreamVia("", "1.1")}\r\n`);

/**
 * Adds the request's head as sent upstream, in canonical form, without the fields that frame the body. Consecutive kept
 * fields are one copy of the client's bytes.
 */
function addHead(
  out: HeadTarget,
  exchange: Exchange,
  head: FastHead,
  reader: RequestParser,
  lines: ConnectionLines,
  connection: "keep-alive" | "close",
): void {
  reader.reclaim(head);
  const { scan } = reader;
  const { bytes, start } = head;
  addRequestLine(out, exchange, head);
  lines.addOpening(out, exchange, connection);
  let via = "";
  let baggage: string | undefined;
  let keptFrom = -1;
  for (let field = 0; field < scan.count; field++) {
    const kind = scan.kindIndex(field) === 0 ? "keep" : reader.kind(field);
    if (kind === "keep" || (kind === "trusted-only" && exchange.caller.trusted)) {
      if (keptFrom < 0) keptFrom = scan.start(field);
      continue;
    }
    if (keptFrom >= 0) out.addBytes(bytes, start + keptFrom, start + scan.start(field));
    keptFrom = -1;
    if (kind === "via") via += `${head.text(scan.valueStart(field), scan.valueEnd(field))}, `;
    else if (kind === "baggage") {
      baggage = joinedBaggage(baggage, head.text(scan.valueStart(field), scan.valueEnd(field)));
    }
  }
  if (keptFrom >= 0) out.addBytes(bytes, start + keptFrom, start + head.length - 2);
  if (head.hasCookies) addCookies(out, exchange, head);
  lines.addForwarded(out, exchange);
  out.addText(exchange.requestId);
  if (via === "") out.addView(ownVia);
  else out.addText(`\r\nVia: ${upstreamVia(via, "1.1")}\r\n`);
  const propagated = propagatedFields(exchange, baggage);
  if (propagated.length > 0) out.addText(fieldLines(propagated));
}

function addRequestLine(out: HeadTarget, exchange: Exchange, head: FastHead): void {
  const { snapshot, caller } = exchange;
  const removed = caller.trusted ? snapshot.ownParameters : snapshot.untrustedParameters;
  const isUnchanged =
    exchange.head === head && exchange.upstreamPath === undefined && (removed.size === 0 || !head.hasQuery);
  if (isUnchanged) out.addBytes(head.bytes, head.start, head.start + head.lineLength);
  else out.addText(`${head.method} ${upstreamTarget(exchange)} HTTP/1.1\r\n`);
}

function addCookies(out: HeadTarget, exchange: Exchange, head: FastHead): void {
  const { snapshot, caller } = exchange;
  const scan = caller.trusted || snapshot.cookieLookAlikes === undefined ? head.scanCookies() : undefined;
  if (scan === undefined) {
    const cookies = upstreamCookies(exchange);
    if (cookies !== undefined) out.addText(`Cookie: ${cookies}\r\n`);
    return;
  }
  if (scan.rangeCount === 0) return;
  out.addView(cookieName);
  for (let range = 0; range < scan.rangeCount; range++) {
    out.addBytes(head.bytes, scan.rangeStart(range), scan.rangeEnd(range));
  }
  out.addView(lineEnd);
}

/** The fields of a canonical head, flat, without `connection`. */
function fieldsOf(headText: string): string[] {
  const fields: string[] = [];
  for (let start = headText.indexOf("\r\n") + 2; start < headText.length; ) {
    const end = headText.indexOf("\r\n", start);
    const colon = headText.indexOf(":", start);
    const name = headText.slice(start, colon);
    if (name !== "connection") fields.push(name, headText.slice(colon + 1, end).trim());
    start = end + 2;
  }
  return fields;
}

/** The end of a request's head: the field that frames the body. `chunked`: a chunked body that is not empty. */
function addFraming(out: HeadTarget, method: string, body: number | "chunked" | "none"): void {
  if (body === "chunked") out.addText("transfer-encoding: chunked\r\n\r\n");
  else if (body !== "none") out.addText(`content-length: ${body}\r\n\r\n`);
  else if (bodyExpected.has(method)) out.addText("content-length: 0\r\n\r\n");
  else out.addView(lineEnd);
}
