import type { Caller, RequestHead } from "../../http/request-head.ts";
import { latin1Slice } from "../../node-internals.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
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
import type { BodyParser, ChunkedSink } from "./body-parser.ts";
import type { FastHead, RequestParser } from "./request-parser.ts";
import { lines } from "./response-writer.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** What a request is made of. */
export interface UpstreamRequestParts {
  readonly exchange: Exchange;
  readonly attempts: Attempts;
  /** What follows the head; undefined where nothing does. */
  readonly body: BodyParser | undefined;
  /** The head as it goes upstream, without what frames the body. */
  readonly headText: string;
}

/** One request on its way to an endpoint: its head, and what came of its body. */
export class UpstreamRequest {
  /** Undefined where nothing follows the head. */
  readonly body: BodyParser | undefined;
  readonly #exchange: Exchange;
  readonly #headText: string;
  /** Of the body, as text: what had come before there was a connection to write it to; where it is kept, all that came. */
  #gathered = "";
  /** As many bytes of the body as may be kept for another attempt; 0: none, or too many have come. */
  #keptBytes: number;
  #mirror: Mirror | undefined;

  constructor({ exchange, attempts, headText, body }: UpstreamRequestParts) {
    this.#exchange = exchange;
    this.#headText = headText;
    this.body = body;
    this.#keptBytes = body === undefined ? 0 : attempts.keptBodyBytes;
  }

  /** Whether bytes of the client still belong to this request. */
  get awaitsBody(): boolean {
    return this.body !== undefined && !this.body.complete;
  }

  /** Whether all that was sent is still at hand for another attempt. */
  get isKept(): boolean {
    return this.body === undefined || this.#keptBytes > 0;
  }

  /** Before that it is not known whether chunks have any content, and nothing needs to wait for it upstream. */
  get mayBeSent(): boolean {
    const { body } = this;
    return body === undefined || body.complete || body.framing !== "chunked" || body.bytes > 0;
  }

  /** What is written first to a connection: the head, and as much of the body as had come by then. */
  opening(): string {
    const { method } = this.#exchange.head;
    const { body } = this;
    const headText = this.#attemptText();
    if (body === undefined || (body.complete && body.bytes === 0)) return headText + framingText(method, "none");
    return headText + framingText(method, body.framing === "until close" ? "none" : body.framing) + this.#gathered;
  }

  /** The opening was written: a copy of the request leaves, where there is to be one; what need not be kept is not. */
  opened(): void {
    const mirroring = this.#exchange.route?.mirroring;
    if (mirroring !== undefined && this.#mirror === undefined) this.#beginMirror(mirroring);
    this.#keepNoMoreThanAllowed();
  }

  /** Keeps what came of the body, while there is nobody to send it to. Answers with the position after it. */
  gather(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = this.#read(body, bytes, from, to, {
      passBytes: (piece, start, end) => this.#gatherBytes(piece, start, end),
    });
    if (body.complete && body.failure === undefined) this.#gathered += ending(body);
    return end;
  }

  /** More of the body; leaves with the writer's next flush. Answers with the position after it. */
  pass(body: BodyParser, bytes: Buffer, from: number, to: number, writer: SocketWriter): number {
    const end = this.#read(body, bytes, from, to, this.#keptBytes > 0 ? this.#keeping(writer) : writer);
    if (body.complete && body.failure === undefined) {
      writer.addText(ending(body));
      if (this.#keptBytes > 0) this.#gathered += ending(body);
    }
    return end;
  }

  /** The head for the present attempt. */
  #attemptText(): string {
    const { route, trace } = this.#exchange;
    if (route?.transforms !== undefined) return changedText(this.#exchange, this.#headText);
    // Each attempt is another parent to its upstream.
    return trace === undefined ? this.#headText : this.#headText + lines(trace.fields());
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

  /** What passes on is kept as well, until it is too much. */
  #keeping(writer: SocketWriter): ChunkedSink {
    return {
      passBytes: (bytes, from, to) => {
        writer.passBytes(bytes, from, to);
        this.#gatherBytes(bytes, from, to);
        this.#keepNoMoreThanAllowed();
      },
    };
  }

  #keepNoMoreThanAllowed(): void {
    if (this.body === undefined || this.body.bytes <= this.#keptBytes) return;
    this.#keptBytes = 0;
    this.#gathered = "";
  }

  #read(body: BodyParser, bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    const end = body.read(bytes, from, to, sink);
    this.#exchange.bytesReceived = body.bytes;
    // A mirrored body has a length, so that what was read is content and nothing else.
    if (this.#mirror !== undefined) {
      this.#mirror.bytes(Buffer.from(bytes.subarray(from, end)));
      if (body.complete) this.#mirror.bodyEnded();
    }
    return end;
  }
}

/** Trailer fields of requests are not passed on. */
function ending(body: BodyParser): string {
  return body.framing === "chunked" ? "\r\n" : "";
}

/** Methods that say that they have no body rather than leave it open (RFC 9110 §8.6). */
const bodyExpected: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** What most requests end with. */
const ownVia = `\r\nVia: ${upstreamVia("", "1.1")}\r\n`;

/** What a request line is longer by than its method and target. */
const requestLineRest = "  HTTP/1.1\r\n".length;

/**
 * The request's head as it goes upstream, in the canonical form. Fields that are kept one after the other are one slice of
 * the client's own head; what frames the body comes behind it. To be asked right after the head was read, while the reader still holds its fields.
 */
export function requestText(
  exchange: Exchange,
  head: FastHead,
  reader: RequestParser,
  way: ForwardedHeaderCache,
): string {
  const { scan } = reader;
  const { text } = head;
  let out = requestLine(head, upstreamTarget(exchange)) + way.opening(exchange);
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
  const told = lines(propagatedFields(exchange, baggage));
  const viaText = via === "" ? ownVia : `\r\nVia: ${upstreamVia(via, "1.1")}\r\n`;
  return out + way.way(exchange) + exchange.requestId + viaText + told;
}

/** The client's own, where its target goes on as it came. */
function requestLine({ method, target, text }: FastHead, upstream: string): string {
  return upstream === target
    ? text.slice(0, method.length + target.length + requestLineRest)
    : `${method} ${upstream} HTTP/1.1\r\n`;
}

function opening({ method, authority }: RequestHead): string {
  // Misbehaving upstreams send a body with their answer to HEAD, which would be the next answer on this connection.
  return `host: ${authority}\r\nconnection: ${method === "HEAD" ? "close" : "keep-alive"}\r\n`;
}

/** The fields of such a head again, flat, without those that are the connection's own. */
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

/** The head as the route changes it for the present attempt. */
function changedText(exchange: Exchange, headText: string): string {
  const line = headText.slice(0, headText.indexOf("\r\n") + 2);
  const [, host = "", ...fields] = attemptFields(exchange, fieldsOf(headText));
  const connection = exchange.head.method === "HEAD" ? "close" : "keep-alive";
  return `${line}host: ${host}\r\nconnection: ${connection}\r\n${lines(fields)}`;
}

/**
 * What of a head is the same from request to request, as text: how it opens, and the fields that tell of the way it came,
 * which for a stranger depend on nothing but the connection and the authority that was asked for. The name of the field
 * behind them, X-Request-Id, is part of it.
 */
export class ForwardedHeaderCache {
  #caller: Caller | undefined;
  #authority = "";
  #opening = "";
  #way = "";

  opening(exchange: Exchange): string {
    if (exchange.head.method === "HEAD" || exchange.caller.trusted) return opening(exchange.head);
    this.#follow(exchange);
    return this.#opening;
  }

  way(exchange: Exchange): string {
    if (exchange.caller.trusted) return wayOf(exchange);
    this.#follow(exchange);
    return this.#way;
  }

  #follow(exchange: Exchange): void {
    const { caller, head } = exchange;
    if (caller === this.#caller && head.authority === this.#authority) return;
    this.#caller = caller;
    this.#authority = head.authority;
    this.#opening = ownCopy(`host: ${head.authority}\r\nconnection: keep-alive\r\n`);
    this.#way = ownCopy(wayOf(exchange));
  }
}

function wayOf(exchange: Exchange): string {
  return `${lines(forwardedFields(exchange))}X-Request-Id: `;
}

/** Flat, and no slice of a head, which would keep that head alive. */
function ownCopy(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** The end of a request's head: what it says of its body, which is the last field. `chunked` means chunks with content. */
function framingText(method: string, body: number | "chunked" | "none"): string {
  if (body === "chunked") return "transfer-encoding: chunked\r\n\r\n";
  if (body !== "none") return `content-length: ${body}\r\n\r\n`;
  return bodyExpected.has(method) ? "content-length: 0\r\n\r\n" : "\r\n";
}
