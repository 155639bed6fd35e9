import { STATUS_CODES } from "node:http";
import type { Exchange } from "../exchange.ts";
import {
  addResponseFields,
  passes,
  type ResponseEdit,
  responseEdit,
  responseHeaders,
  type TrailerPlan,
} from "../response-headers.ts";
import type { FastResponseField, ResponseParser } from "./response-parser.ts";

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
export function responseText(exchange: Exchange, reader: ResponseParser, framing: ResponseFraming): string {
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
