import { type KnownAuthority, knownAuthority } from "../../http/authority.ts";
import { CookieScan } from "../../http/cookie-scan.ts";
import { type CookieNames, hasMoreCookies } from "../../http/cookies.ts";
import { latin1Slice } from "../../node-internals.ts";
import { HeaderNameTable } from "../http1/header-name-table.ts";
import {
  backslash,
  byteClasses,
  dot,
  HeaderScanner,
  incomplete,
  irregular,
  isSame,
  percent,
  plus,
  questionMark,
  semicolon,
  slash,
  targetByte,
} from "../http1/header-scanner.ts";
import type { RequestHeaderAction } from "../request-header-rules.ts";
import type { Snapshot } from "../snapshot.ts";
import type { FastHead, FieldReader } from "./fast-head.ts";

/** How a request's body is framed. */
export type BodyFraming = "none" | "length" | "chunked";

/** The methods of this lane, with the bytes they start with; all others are handed over. */
const methods: readonly { readonly name: string; readonly bytes: Uint8Array; readonly body: "served" | "unserved" }[] =
  [
    { name: "GET", bytes: Buffer.from("GET "), body: "served" },
    { name: "POST", bytes: Buffer.from("POST "), body: "served" },
    { name: "PUT", bytes: Buffer.from("PUT "), body: "served" },
    { name: "HEAD", bytes: Buffer.from("HEAD "), body: "unserved" },
    { name: "DELETE", bytes: Buffer.from("DELETE "), body: "served" },
    { name: "PATCH", bytes: Buffer.from("PATCH "), body: "served" },
    { name: "OPTIONS", bytes: Buffer.from("OPTIONS "), body: "served" },
  ];

const versionEnd = Buffer.from(" HTTP/1.1\r\n");

/** A length up to this many digits is exact in a double. */
const maxDigits = 15;

/**
 * Parses request heads strictly: anything ambiguous or unusual is `irregular` and handed over to the standard lane,
 * which decides. The results of the last head (fields, their kinds, the framing) stay valid until the next.
 */
export class RequestParser implements FieldReader {
  readonly scan: HeaderScanner = new HeaderScanner();
  framing: BodyFraming = "none";
  contentLength = 0;
  /** Whether the client wants the connection closed after this request. */
  closing = false;
  /** Position after the head, in the bytes passed to `read`. */
  end = 0;
  /** The only Cookie field of the head, or -1. */
  cookieField = -1;
  /** The head whose fields `scan` holds. */
  #head: FastHead | undefined;
  #fields: RequestFields | undefined;
  /** Those of the last head. */
  #kinds: readonly RequestField[] = [];
  #lastAuthority: KnownAuthority | undefined;
  readonly #cookies = new CookieScan();
  /** The names that the cookies of that head were scanned for, and in which bytes: those of a head change once it is kept. */
  #scannedFor: CookieNames | undefined;
  #scannedBytes: Buffer | undefined;
  #pathIsPlain = true;

  /**
   * Parses the head that starts at `from` into `into`; `to` is the end of the input, exclusive. Returns the position after
   * the head, `incomplete` or `irregular`.
   */
  read(bytes: Buffer, from: number, to: number, snapshot: Snapshot, into: FastHead): number {
    this.#head = undefined;
    const method = methodAt(bytes, from, to);
    if (typeof method === "number") return method;
    const targetStart = from + method.bytes.length;
    if (targetStart < to && bytes[targetStart] !== slash) return irregular;
    const pathEnd = this.#readPath(bytes, targetStart, to);
    let at = pathEnd;
    let queryIsPlain = true;
    for (; at < to; at++) {
      const code = bytes[at] as number;
      if (((byteClasses[code] as number) & targetByte) === 0) break;
      if (code === percent || code === plus) queryIsPlain = false;
    }
    const targetEnd = at;
    for (let i = 0; i < versionEnd.length; i++) {
      if (at === to) return this.#orTooLong(at - from, snapshot);
      if (bytes[at++] !== versionEnd[i]) return irregular;
    }
    const end = this.scan.scan(bytes, from, at, to, this.#namesOf(snapshot));
    if (end < 0) return end === incomplete ? this.#orTooLong(to - from, snapshot) : irregular;
    const { headerBytes, headerCount, uriBytes } = snapshot.config.limits;
    if (end - from > headerBytes || this.scan.count > headerCount || targetEnd - targetStart > uriBytes)
      return irregular;
    if (!this.scan.evenlySpaced) return irregular;
    into.bytes = bytes;
    into.start = from;
    into.length = end - from;
    into.snapshot = snapshot;
    into.pathIsPlain = this.#pathIsPlain;
    into.queryIsPlain = queryIsPlain;
    into.setLine(method.name, targetStart, pathEnd, targetEnd, at);
    this.#head = into;
    if (!this.#readFields(into, snapshot)) return irregular;
    if (this.framing !== "none" && method.body === "unserved") return irregular;
    this.end = end;
    return end;
  }

  /** Returns the end of the path, and records whether it may need normalising (see `normalPath`). */
  #readPath(bytes: Uint8Array, from: number, to: number): number {
    let plain = true;
    let before = 0;
    let at = from;
    for (; at < to; at++) {
      const code = bytes[at] as number;
      if (((byteClasses[code] as number) & targetByte) === 0 || code === questionMark) break;
      if (code === percent || code === backslash || code === semicolon) plain = false;
      if (before === slash && (code === slash || code === dot)) plain = false;
      before = code;
    }
    this.#pathIsPlain = plain;
    return at;
  }

  /** The kind of a field of the last head. */
  kind(field: number): RequestField {
    return this.#kinds[this.scan.kindIndex(field)] as RequestField;
  }

  reclaim(head: FastHead): void {
    if (this.#head === head) return;
    const { bytes, start, length, lineLength, snapshot } = head;
    if (snapshot === undefined) throw new TypeError("A head that was not read has no fields.");
    this.#head = head;
    this.scan.scan(bytes, start, start + lineLength, start + length, this.#namesOf(snapshot));
    this.#findCookies();
  }

  cookiesOf(head: FastHead, names: CookieNames): CookieScan {
    this.reclaim(head);
    if (this.#scannedFor !== names || this.#scannedBytes !== head.bytes) {
      const from = head.start + this.scan.valueStart(this.cookieField);
      this.#cookies.scan(names, head.bytes, from, head.start + this.scan.valueEnd(this.cookieField));
      this.#scannedFor = names;
      this.#scannedBytes = head.bytes;
    }
    return this.#cookies;
  }

  #orTooLong(length: number, snapshot: Snapshot): number {
    return length > snapshot.config.limits.headerBytes ? irregular : incomplete;
  }

  #namesOf(snapshot: Snapshot): HeaderNameTable<RequestField> {
    if (this.#fields?.snapshot !== snapshot) this.#fields = new RequestFields(snapshot);
    this.#kinds = this.#fields.table.kinds;
    return this.#fields.table;
  }

  /** Finds the only Cookie field. Returns how many there are. */
  #findCookies(): number {
    const { scan } = this;
    let count = 0;
    for (let field = 0; field < scan.count; field++) {
      if (scan.kindIndex(field) === 0 || this.kind(field) !== "cookie") continue;
      count++;
      this.cookieField = field;
    }
    if (count !== 1) this.cookieField = -1;
    this.#scannedFor = undefined;
    return count;
  }

  /** Reads what every request needs; false if a field requires the standard lane. */
  #readFields(head: FastHead, snapshot: Snapshot): boolean {
    const { scan } = this;
    const { bytes, start } = head;
    const cookieFields = this.#findCookies();
    let hosts = 0;
    let authority: KnownAuthority | undefined;
    this.framing = "none";
    this.contentLength = 0;
    this.closing = false;
    for (let field = 0; field < scan.count; field++) {
      if (scan.kindIndex(field) === 0) continue;
      switch (this.kind(field)) {
        case "host":
          hosts++;
          authority = this.#authorityAt(bytes, start + scan.valueStart(field), start + scan.valueEnd(field));
          break;
        case "connection":
          if (!this.#readConnection(bytes, start + scan.valueStart(field), start + scan.valueEnd(field))) return false;
          break;
        case "content-length":
          if (!this.#readLength(bytes, start + scan.valueStart(field), start + scan.valueEnd(field))) return false;
          break;
        case "transfer-encoding":
          if (this.framing !== "none") return false;
          if (!isText(bytes, start + scan.valueStart(field), start + scan.valueEnd(field), "chunked")) return false;
          this.framing = "chunked";
          break;
        case "unserved":
          return false;
      }
    }
    // An explicit zero length is no body: the framing sent upstream then depends on the method only.
    if ((this.framing as BodyFraming) === "length" && this.contentLength === 0) this.framing = "none";
    head.setCookies(cookieFields > 0);
    if (cookieFields > 0 && this.#hasMoreCookies(head, snapshot.config.limits.cookies)) return false;
    if (hosts !== 1 || authority === undefined) return false;
    head.authority = authority.text;
    head.host = authority.authority.host;
    return true;
  }

  /** Most requests repeat the authority of the one before, which then needs no text. */
  #authorityAt(bytes: Buffer, from: number, to: number): KnownAuthority | undefined {
    const last = this.#lastAuthority;
    if (last !== undefined && last.text.length === to - from && isExactly(bytes, from, last.text)) return last;
    const known = knownAuthority(latin1Slice(bytes, from, to));
    if (known !== undefined) this.#lastAuthority = known;
    return known;
  }

  #hasMoreCookies(head: FastHead, max: number): boolean {
    if (this.cookieField < 0) return hasMoreCookies(head.cookies ?? "", max);
    const from = this.scan.valueStart(this.cookieField);
    const to = this.scan.valueEnd(this.cookieField);
    return to - from > max && hasMoreCookies(head.text(from, to), max);
  }

  #readConnection(bytes: Uint8Array, from: number, to: number): boolean {
    if (isText(bytes, from, to, "keep-alive")) return true;
    this.closing = isText(bytes, from, to, "close");
    return this.closing;
  }

  /**
   * A second length, or a length with a transfer coding, is ambiguous (RFC 9112 §6.3); so are a sign, a leading zero, and
   * a length that a double does not hold.
   */
  #readLength(bytes: Uint8Array, from: number, to: number): boolean {
    const digits = to - from;
    if (this.framing !== "none" || digits === 0 || digits > maxDigits) return false;
    if (digits > 1 && bytes[from] === zero) return false;
    let length = 0;
    for (let at = from; at < to; at++) {
      const digit = (bytes[at] as number) - zero;
      if (digit < 0 || digit > 9) return false;
      length = length * 10 + digit;
    }
    this.contentLength = length;
    this.framing = "length";
    return true;
  }
}

const zero = 0x30;

/** Whether the bytes are this lower-case text, ignoring case. */
function isText(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  return to - from === text.length && isSame(bytes, from, text);
}

/** Whether the bytes from `from` on are this text. */
function isExactly(bytes: Uint8Array, from: number, text: string): boolean {
  for (let at = 0; at < text.length; at++) if (bytes[from + at] !== text.charCodeAt(at)) return false;
  return true;
}

function methodAt(
  bytes: Uint8Array,
  from: number,
  to: number,
): (typeof methods)[number] | typeof incomplete | typeof irregular {
  for (const method of methods) {
    if (bytes[from] !== method.bytes[0] || (from + 1 < to && bytes[from + 1] !== method.bytes[1])) continue;
    for (let i = 1; i < method.bytes.length; i++) {
      if (from + i >= to) return incomplete;
      if (bytes[from + i] !== method.bytes[i]) return irregular;
    }
    return method;
  }
  return irregular;
}

/** How the fast lane handles a request field: the configured action, or one of the lane's. */
export type RequestField =
  | Exclude<RequestHeaderAction, "managed">
  | "host"
  | "via"
  /** Replaced by Perch, or dropped. */
  | "rewritten"
  | "content-length"
  | "transfer-encoding"
  /** Hands the request over to the standard lane. */
  | "unserved";

const laneKinds: ReadonlyMap<string, RequestField> = new Map([
  ["host", "host"],
  ["via", "via"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["upgrade", "unserved"],
  ["http2-settings", "unserved"],
  ["expect", "unserved"],
]);

/** Kinds of request fields by name, according to the snapshot. */
export class RequestFields {
  readonly snapshot: Snapshot;
  readonly table: HeaderNameTable<RequestField>;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    const rules = snapshot.requestHeaders;
    this.table = new HeaderNameTable<RequestField>("keep", (name) => {
      const action = rules.action(name);
      return laneKinds.get(name) ?? (action === "managed" ? "rewritten" : action);
    });
  }
}
