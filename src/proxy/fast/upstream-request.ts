import { fieldLines } from "../../http/header-fields.ts";
import type { Caller, RequestHead } from "../../http/request-head.ts";
import { latin1Slice } from "../../node-internals.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import type { BodyParser, ChunkedSink } from "../http1/body-parser.ts";
import type { Mirror, Mirroring } from "../mirror.ts";
import {
  attemptFields,
  copyFields,
  forwardedFields,
  joinedBaggage,
  propagatedFields,
  upstreamCookies,
  upstreamTarget,
  upstreamVia,
} from "../request-headers.ts";
import type { FastHead, RequestParser } from "./request-parser.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** The parts of an upstream request. */
export interface UpstreamRequestParts {
  readonly exchange: Exchange;
  readonly attempts: Attempts;
  /** Undefined if the request has no body. */
  readonly body: BodyParser | undefined;
  /** The head as sent upstream, without the fields that frame the body. */
  readonly headText: string;
}

/** One request to an endpoint: its head, and the part of its body received so far. */
export class UpstreamRequest {
  /** Undefined if the request has no body. */
  readonly body: BodyParser | undefined;
  readonly #exchange: Exchange;
  readonly #headText: string;
  /** Body bytes as text: those received before there was a connection; all of them if kept for a retry. */
  #gathered = "";
  /** Maximum body bytes to keep for another attempt; 0: none, or the limit was exceeded. */
  #keptBytes: number;
  #mirror: Mirror | undefined;

  constructor({ exchange, attempts, headText, body }: UpstreamRequestParts) {
    this.#exchange = exchange;
    this.#headText = headText;
    this.body = body;
    this.#keptBytes = body === undefined ? 0 : attempts.keptBodyBytes;
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

  /** The first write to a connection: the head, and the body bytes received so far. */
  opening(connection: "keep-alive" | "close"): string {
    const { method } = this.#exchange.head;
    const { body } = this;
    const attemptText = this.#attemptText();
    // The second header line.
    const headText =
      connection === "keep-alive" ? attemptText : attemptText.replace(keepAliveLine, "\r\nconnection: close\r\n");
    if (body === undefined || (body.complete && body.bytes === 0)) return headText + framingText(method, "none");
    return headText + framingText(method, body.framing === "until close" ? "none" : body.framing) + this.#gathered;
  }

  /** The opening was written: starts the mirrored request, if any, and drops what need not be kept. */
  opened(): void {
    const mirroring = this.#exchange.route?.mirroring;
    if (mirroring !== undefined && this.#mirror === undefined) this.#beginMirror(mirroring);
    this.#enforceKeepLimit();
  }

  /** Keeps body bytes while there is no connection. Returns the position after them. */
  gather(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = this.#read(body, bytes, from, to, {
      passBytes: (piece, start, end) => this.#gatherBytes(piece, start, end),
    });
    if (body.complete && body.failure === undefined) this.#gathered += bodyEnd(body);
    return end;
  }

  /** Passes body bytes on; they are sent with the writer's next flush. Returns the position after them. */
  pass(body: BodyParser, bytes: Buffer, from: number, to: number, writer: SocketWriter): number {
    const end = this.#read(body, bytes, from, to, this.#keptBytes > 0 ? this.#keeping(writer) : writer);
    if (body.complete && body.failure === undefined) {
      writer.addText(bodyEnd(body));
      if (this.#keptBytes > 0) this.#gathered += bodyEnd(body);
    }
    return end;
  }

  /** The head for the current attempt. */
  #attemptText(): string {
    const { route, trace } = this.#exchange;
    if (route?.transforms !== undefined) return changedText(this.#exchange, this.#headText);
    // Each attempt has its own parent span.
    return trace === undefined ? this.#headText : this.#headText + fieldLines(trace.fields());
  }

  #beginMirror({ version }: Mirroring): void {
    const { body } = this;
    const { framing } = body ?? {};
    this.#mirror = this.#exchange.mirror(() => ({
      method: this.#exchange.head.method,
      target: upstreamTarget(this.#exchange),
      headersFor: (endpoint) => copyFields(this.#exchange, fieldsOf(this.#headText), version, endpoint),
      body: typeof framing === "number" && framing > 0 ? framing : "none",
    }));
    if (this.#mirror === undefined || body === undefined) return;
    if (this.#gathered !== "") this.#mirror.bytes(Buffer.from(this.#gathered, "latin1"));
    if (body.complete) this.#mirror.bodyEnded();
  }

  #gatherBytes(bytes: Buffer, from: number, to: number): void {
    this.#gathered += latin1Slice(bytes, from, to);
  }

  /** Passes bytes on and keeps them too, up to the limit. */
  #keeping(writer: SocketWriter): ChunkedSink {
    return {
      passBytes: (bytes, from, to) => {
        writer.passBytes(bytes, from, to);
        this.#gatherBytes(bytes, from, to);
        this.#enforceKeepLimit();
      },
    };
  }

  #enforceKeepLimit(): void {
    if (this.body === undefined || this.body.bytes <= this.#keptBytes) return;
    this.#keptBytes = 0;
    this.#gathered = "";
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

const keepAliveLine = "\r\nconnection: keep-alive\r\n";

/** Trailer fields of requests are not passed on. */
function bodyEnd(body: BodyParser): string {
  return body.framing === "chunked" ? "\r\n" : "";
}

/** Methods for which an empty body is sent as `content-length: 0` (RFC 9110 §8.6). */
const bodyExpected: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** The Via line of a request that arrived without one. */
const ownVia = `\r\nVia: ${upstreamVia("", "1.1")}\r\n`;

/** Length of a request line apart from its method and target. */
const requestLineRest = "  HTTP/1.1\r\n".length;

/**
 * The request's head as sent upstream, in canonical form, without the fields that frame the body. Consecutive kept
 * fields are one slice of the client's head. Must be called right after the head was read, while the parser still holds
 * its fields.
 */
export function requestText(
  exchange: Exchange,
  head: FastHead,
  reader: RequestParser,
  cache: ForwardedHeaderCache,
): string {
  const { scan } = reader;
  const { text } = head;
  let out = requestLine(head, upstreamTarget(exchange)) + cache.opening(exchange);
  let via = "";
  let baggage: string | undefined;
  let keptFrom = -1;
  for (let field = 0; field < scan.count; field++) {
    const kind = reader.kind(field);
    if (kind === "keep" || (kind === "trusted-only" && exchange.caller.trusted)) {
      if (keptFrom < 0) keptFrom = scan.start(field);
      continue;
    }
    if (keptFrom >= 0) out += text.slice(keptFrom, scan.start(field));
    keptFrom = -1;
    if (kind === "via") via += `${text.slice(scan.valueStart(field), scan.valueEnd(field))}, `;
    else if (kind === "baggage") {
      baggage = joinedBaggage(baggage, text.slice(scan.valueStart(field), scan.valueEnd(field)));
    }
  }
  if (keptFrom >= 0) out += text.slice(keptFrom, text.length - 2);
  const cookies = upstreamCookies(exchange);
  if (cookies !== undefined) out += `Cookie: ${cookies}\r\n`;
  const propagated = fieldLines(propagatedFields(exchange, baggage));
  const viaText = via === "" ? ownVia : `\r\nVia: ${upstreamVia(via, "1.1")}\r\n`;
  return out + cache.forwardedHeaders(exchange) + exchange.requestId + viaText + propagated;
}

/** A slice of the client's head if the target is unchanged. */
function requestLine({ method, target, text }: FastHead, upstream: string): string {
  return upstream === target
    ? text.slice(0, method.length + target.length + requestLineRest)
    : `${method} ${upstream} HTTP/1.1\r\n`;
}

function opening({ method, authority }: RequestHead): string {
  // Misbehaving upstreams send a body in response to HEAD, which would be parsed as the next response.
  return `host: ${authority}\r\nconnection: ${method === "HEAD" ? "close" : "keep-alive"}\r\n`;
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

/** The head with the route's changes for the current attempt. */
function changedText(exchange: Exchange, headText: string): string {
  const line = headText.slice(0, headText.indexOf("\r\n") + 2);
  const [, host = "", ...fields] = attemptFields(exchange, fieldsOf(headText));
  const connection = exchange.head.method === "HEAD" ? "close" : "keep-alive";
  return `${line}host: ${host}\r\nconnection: ${connection}\r\n${fieldLines(fields)}`;
}

/**
 * Caches the parts of a head that stay the same between requests: the Host and Connection lines, and the forwarded
 * headers. For an untrusted caller both depend only on the connection and the authority. The text of the forwarded
 * headers includes the name of the next field, X-Request-Id.
 */
export class ForwardedHeaderCache {
  #caller: Caller | undefined;
  #authority = "";
  #opening = "";
  #forwardedHeaders = "";

  opening(exchange: Exchange): string {
    if (exchange.head.method === "HEAD" || exchange.caller.trusted) return opening(exchange.head);
    this.#update(exchange);
    return this.#opening;
  }

  forwardedHeaders(exchange: Exchange): string {
    if (exchange.caller.trusted) return forwardedText(exchange);
    this.#update(exchange);
    return this.#forwardedHeaders;
  }

  #update(exchange: Exchange): void {
    const { caller, head } = exchange;
    if (caller === this.#caller && head.authority === this.#authority) return;
    this.#caller = caller;
    this.#authority = head.authority;
    this.#opening = flatCopy(`host: ${head.authority}\r\nconnection: keep-alive\r\n`);
    this.#forwardedHeaders = flatCopy(forwardedText(exchange));
  }
}

function forwardedText(exchange: Exchange): string {
  return `${fieldLines(forwardedFields(exchange))}X-Request-Id: `;
}

/** A flat string: a slice would keep the whole head alive. */
function flatCopy(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** The end of a request's head: the field that frames the body. `chunked`: a chunked body that is not empty. */
function framingText(method: string, body: number | "chunked" | "none"): string {
  if (body === "chunked") return "transfer-encoding: chunked\r\n\r\n";
  if (body !== "none") return `content-length: ${body}\r\n\r\n`;
  return bodyExpected.has(method) ? "content-length: 0\r\n\r\n" : "\r\n";
}
