import type { ErrorCause } from "../../errors.ts";
import { latin1Slice } from "../../node-internals.ts";
import type { ResponseHeadLimits } from "../../upstream/service-spec.ts";
import { type ResponseField, responseField } from "../response-headers.ts";
import { HeaderNameTable } from "./header-name-table.ts";
import {
  byteClasses,
  carriageReturn,
  HeaderScanner,
  incomplete,
  irregular,
  isSame,
  lineFeed,
  space,
  valueByte,
} from "./header-scanner.ts";
import { responseFault } from "./response-fault.ts";

/** How the fast lane handles a response field: as the standard lane does, plus Transfer-Encoding, Keep-Alive and Date. */
export type FastResponseField = ResponseField | "transfer-encoding" | "keep-alive" | "date";

const framing: ReadonlySet<string> = new Set(["transfer-encoding", "keep-alive", "date"]);

const table = new HeaderNameTable<FastResponseField>("keep", (name) =>
  framing.has(name) ? (name as FastResponseField) : responseField(name),
);

const versionStart = Buffer.from("HTTP/1.");
const maxDigits = 15;

/** Parses the heads of upstream responses (RFC 9112). The results stay valid until the next head. */
export class ResponseParser {
  readonly scan: HeaderScanner = new HeaderScanner();
  /** The bytes that the head was read from, and where in them it starts. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  status = 0;
  minorVersion: 0 | 1 = 1;
  /** Whether the status line can be passed on unchanged. */
  plainStatusLine = true;
  /** Position of the reason phrase, from the head's start. */
  reasonStart = 0;
  reasonEnd = 0;
  /** Whether the reason phrase can be passed on: printable ASCII only. */
  plainReason = true;
  contentLength: number | undefined;
  chunked = false;
  /** Whether the connection ends with this response. */
  closing = false;
  /** Whether the Connection field names hop-by-hop fields. */
  namesFields = false;
  hasDate = false;
  hasExpires = false;
  /** The upstream's announced idle timeout, in seconds (Keep-Alive: timeout). */
  keepAliveSeconds: number | undefined;
  /** How many further requests it allows (Keep-Alive: max). */
  keepAliveRequests: number | undefined;
  /** Position after the head, in the bytes passed to `read`. */
  end = 0;
  /** Why the last head is malformed. */
  cause: ErrorCause<"upstream-malformed"> = "other";
  #closed = false;
  #kept = true;

  /** A head that is `malformed` has a `cause`. */
  read(bytes: Buffer, from: number, to: number, limits: ResponseHeadLimits): "complete" | "incomplete" | "malformed" {
    const lineEnd = this.#readStatusLine(bytes, from, to);
    const end = lineEnd < 0 ? lineEnd : this.scan.scan(bytes, from, lineEnd, to, table);
    if (end === incomplete && to - from <= limits.bytes) return "incomplete";
    const isWithin = end > 0 && end - from <= limits.bytes && this.scan.count <= limits.fields;
    if (isWithin && this.#complete(bytes, from, end)) return "complete";
    this.cause = faultWithin(bytes, from, end < 0 ? to : end, limits);
    return "malformed";
  }

  #complete(bytes: Buffer, from: number, end: number): boolean {
    this.end = end;
    this.bytes = bytes;
    this.start = from;
    return this.#readFields(bytes, from);
  }

  /** The kind of a field of the last head. */
  kind(field: number): FastResponseField {
    return table.kinds[this.scan.kindIndex(field)] as FastResponseField;
  }

  name(field: number): string {
    return this.text(this.scan.start(field), this.scan.nameEnd(field));
  }

  value(field: number): string {
    return this.text(this.scan.valueStart(field), this.scan.valueEnd(field));
  }

  /** A part of the head as Latin-1, between two positions from its start. */
  text(from: number, to: number): string {
    return latin1Slice(this.bytes, this.start + from, this.start + to);
  }

  /** All fields, flat: name, value, name, value. For the slow path. */
  flat(): string[] {
    const out: string[] = [];
    for (let field = 0; field < this.scan.count; field++) out.push(this.name(field), this.value(field));
    return out;
  }

  /** RFC 9112 §4; the reason phrase and the blank before it may be missing. */
  #readStatusLine(bytes: Uint8Array, from: number, to: number): number {
    for (let i = 0; i < versionStart.length; i++) {
      if (from + i >= to) return incomplete;
      if (bytes[from + i] !== versionStart[i]) return irregular;
    }
    let at = from + versionStart.length;
    if (at + 5 >= to) return incomplete;
    const minor = (bytes[at] as number) - 0x30;
    if ((minor !== 0 && minor !== 1) || bytes[at + 1] !== space) return irregular;
    let status = 0;
    for (at += 2; at < from + 12; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return irregular;
      status = status * 10 + digit;
    }
    this.plainStatusLine = minor === 1 && bytes[at] === space;
    if (bytes[at] === space) at++;
    else if (bytes[at] !== carriageReturn) return irregular;
    this.minorVersion = minor;
    this.status = status;
    this.reasonStart = at - from;
    let plain = true;
    while (at < to && bytes[at] !== carriageReturn && bytes[at] !== lineFeed) {
      if (((byteClasses[bytes[at] as number] as number) & valueByte) === 0 || (bytes[at] as number) >= 0x80)
        plain = false;
      at++;
    }
    this.reasonEnd = at - from;
    this.plainReason = plain;
    if (!plain) this.plainStatusLine = false;
    if (at === to || (at + 1 === to && bytes[at] === carriageReturn)) return incomplete;
    return bytes[at] === carriageReturn && bytes[at + 1] === lineFeed ? at + 2 : irregular;
  }

  #readFields(bytes: Buffer, from: number): boolean {
    const { scan } = this;
    this.contentLength = undefined;
    this.chunked = false;
    this.#closed = false;
    this.#kept = this.minorVersion === 1;
    this.namesFields = false;
    this.hasDate = false;
    this.hasExpires = false;
    this.keepAliveSeconds = undefined;
    this.keepAliveRequests = undefined;
    for (let field = 0; field < scan.count; field++) {
      if (scan.kindIndex(field) === 0) continue;
      const kind = this.kind(field);
      if (kind === "date") this.hasDate = true;
      else if (kind === "expires") this.hasExpires = true;
      else if (kind === "connection") this.#readConnection(field);
      else if (kind === "keep-alive") this.#readKeepAlive(this.value(field));
      else if (
        kind === "length" &&
        !this.#readLength(bytes, from + scan.valueStart(field), from + scan.valueEnd(field))
      )
        return false;
      else if (kind === "transfer-encoding" && !this.#readCoding(this.value(field))) return false;
    }
    // `close` wins over `keep-alive` (RFC 9112 §9.3). Chunks in HTTP/1.0 are suspect (§6.1).
    this.closing = this.#closed || !this.#kept || (this.chunked && this.minorVersion === 0);
    return true;
  }

  #readConnection(field: number): void {
    const { scan } = this;
    const start = scan.valueStart(field);
    const isPlain = scan.valueEnd(field) - start === keepAlive.length;
    if (isPlain && isSame(this.bytes, this.start + start, keepAlive)) {
      this.#kept = true;
      return;
    }
    const value = this.value(field).toLowerCase();
    const options = value.split(",").map((option) => option.trim());
    if (options.includes("close")) this.#closed = true;
    if (options.includes("keep-alive")) this.#kept = true;
    if (value !== "close") this.namesFields = true;
  }

  /** `timeout=5, max=1000` */
  #readKeepAlive(value: string): void {
    this.keepAliveSeconds = keepAliveParameter("timeout", value);
    this.keepAliveRequests = keepAliveParameter("max", value);
  }

  /** A second length, or a length with a transfer coding, is ambiguous and allows response splitting. */
  #readLength(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.contentLength !== undefined || this.chunked || start === end || end - start > maxDigits) return false;
    let length = 0;
    for (let at = start; at < end; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return false;
      length = length * 10 + digit;
    }
    this.contentLength = length;
    return true;
  }

  /** Only `chunked`: the field is hop-by-hop, so the client would take any other coding for the content. */
  #readCoding(value: string): boolean {
    if (this.contentLength !== undefined || this.chunked || value.toLowerCase() !== "chunked") return false;
    this.chunked = true;
    return true;
  }
}

const keepAlive = "keep-alive";

/** Of a head that is malformed or over a limit, whatever part of it was received. */
function faultWithin(
  bytes: Buffer,
  from: number,
  to: number,
  { bytes: maxBytes, fields: maxFields }: ResponseHeadLimits,
): ErrorCause<"upstream-malformed"> {
  const end = Math.min(to, from + maxBytes);
  return responseFault(bytes, from, end, maxFields) ?? (to > end ? "head-too-large" : "other");
}

const keepAliveParameters = {
  timeout: /(?:^|[\s,])timeout=(\d{1,6})/i,
  max: /(?:^|[\s,])max=(\d{1,6})/i,
} as const;

function keepAliveParameter(name: keyof typeof keepAliveParameters, value: string): number | undefined {
  const found = keepAliveParameters[name].exec(value)?.[1];
  return found === undefined ? undefined : Number(found);
}
