import type { Caller, RequestHead } from "../../http/request-head.ts";
import type { Exchange } from "../exchange.ts";
import {
  attemptFields,
  forwardedFields,
  joinedBaggage,
  propagatedFields,
  upstreamCookies,
  upstreamTarget,
  upstreamVia,
} from "../request-headers.ts";
import type { FastHead, RequestParser } from "./request-parser.ts";
import { lines } from "./response-writer.ts";

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
export function fieldsOf(headText: string): string[] {
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
export function changedText(exchange: Exchange, headText: string): string {
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
export function framingText(method: string, body: number | "chunked" | "none"): string {
  if (body === "chunked") return "transfer-encoding: chunked\r\n\r\n";
  if (body !== "none") return `content-length: ${body}\r\n\r\n`;
  return bodyExpected.has(method) ? "content-length: 0\r\n\r\n" : "\r\n";
}
