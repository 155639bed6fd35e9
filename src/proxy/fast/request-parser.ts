import { knownAuthority } from "../../http/authority.ts";
import { hasMoreCookies } from "../../http/cookies.ts";
import { type RequestHead, repeated } from "../../http/request-head.ts";
import { latin1Slice } from "../../node-internals.ts";
import {
  backslash,
  byteClasses,
  dot,
  HeaderNameTable,
  HeaderScanner,
  incomplete,
  irregular,
  isNamed,
  percent,
  plus,
  questionMark,
  semicolon,
  slash,
  targetByte,
} from "../http1/header-scanner.ts";
import type { RequestHeaderAction } from "../request-header-rules.ts";
import type { Snapshot } from "../snapshot.ts";

/** How a request's body is framed. */
export type BodyFraming = "none" | "length" | "chunked";

/** The methods of this lane, with the bytes they start with; all others are handed over. */
const methods: readonly { readonly name: string; readonly bytes: Uint8Array; readonly body: "allowed" | "odd" }[] = [
  { name: "GET", bytes: Buffer.from("GET "), body: "odd" },
  { name: "POST", bytes: Buffer.from("POST "), body: "allowed" },
  { name: "PUT", bytes: Buffer.from("PUT "), body: "allowed" },
  { name: "HEAD", bytes: Buffer.from("HEAD "), body: "odd" },
  { name: "DELETE", bytes: Buffer.from("DELETE "), body: "allowed" },
  { name: "PATCH", bytes: Buffer.from("PATCH "), body: "allowed" },
  { name: "OPTIONS", bytes: Buffer.from("OPTIONS "), body: "odd" },
];

const versionEnd = Buffer.from(" HTTP/1.1\r\n");

/** An unambiguous Content-Length: no sign, no leading zero, exact in a double. */
const plainLength = /^(?:0|[1-9]\d{0,14})$/;

/**
 * Parses request heads strictly: anything ambiguous or unusual is `irregular` and handed over to the standard lane,
 * which decides. The results of the last head (fields, their kinds, the framing) stay valid until the next.
 */
export class RequestParser {
  readonly scan: HeaderScanner = new HeaderScanner();
  framing: BodyFraming = "none";
  contentLength = 0;
  /** Whether the client wants the connection closed after this request. */
  closing = false;
  /** Position after the head, in the bytes passed to `read`. */
  end = 0;
  /** The head whose fields `scan` holds. */
  head: FastHead | undefined;
  readonly #kinds: RequestField[] = [];
  #fields: RequestFields | undefined;
  #authority = "";
  #host = "";
  #cookies: string | undefined;
  #pathIsPlain = true;

  /** Parses the head that starts at `from`; `to` is the end of the input, exclusive. */
  read(bytes: Buffer, from: number, to: number, snapshot: Snapshot): FastHead | typeof incomplete | typeof irregular {
    this.head = undefined;
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
    const end = this.scan.scan(bytes, from, at, to);
    if (end < 0) return end === incomplete ? this.#orTooLong(to - from, snapshot) : irregular;
    const { headerBytes, headerCount, uriBytes } = snapshot.config.limits;
    if (end - from > headerBytes || this.scan.count > headerCount || targetEnd - targetStart > uriBytes)
      return irregular;
    const text = latin1Slice(bytes, from, end);
    if (!this.scan.evenlySpaced || !this.#readFields(bytes, from, text, snapshot)) return irregular;
    if (this.framing !== "none" && method.body === "odd") return irregular;
    this.end = end;
    this.head = new FastHead(this, {
      method: method.name,
      text,
      target: text.slice(targetStart - from, targetEnd - from),
      pathLength: pathEnd - targetStart,
      pathIsPlain: this.#pathIsPlain,
      queryIsPlain,
      authority: this.#authority,
      host: this.#host,
      cookies: this.#cookies,
    });
    return this.head;
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
    return this.#kinds[field] as RequestField;
  }

  /** Scans this head again if another one was read since. */
  reclaim(head: FastHead): void {
    if (this.head === head) return;
    this.head = head;
    const bytes = Buffer.from(head.text, "latin1");
    this.scan.scan(bytes, 0, bytes.indexOf("\n") + 1, bytes.length);
  }

  #orTooLong(length: number, snapshot: Snapshot): typeof incomplete | typeof irregular {
    return length > snapshot.config.limits.headerBytes ? irregular : incomplete;
  }

  /** Reads in one pass what every request needs; false if a field requires the standard lane. */
  #readFields(bytes: Buffer, from: number, text: string, snapshot: Snapshot): boolean {
    if (this.#fields?.snapshot !== snapshot) this.#fields = new RequestFields(snapshot);
    const { scan } = this;
    const { table } = this.#fields;
    let hosts = 0;
    this.#reset();
    for (let field = 0; field < scan.count; field++) {
      const kind = table.kind(scan, field, bytes, from);
      this.#kinds[field] = kind;
      switch (kind) {
        case "keep":
        case "drop":
        case "rewritten":
        case "via":
        case "baggage":
        case "trusted-only":
          break;
        case "host":
          hosts++;
          this.#authority = this.#value(field, text);
          break;
        case "cookie":
          this.#addCookies(this.#value(field, text));
          break;
        case "connection":
          if (!this.#readConnection(this.#value(field, text))) return false;
          break;
        case "content-length":
          if (!this.#readLength(this.#value(field, text))) return false;
          break;
        case "transfer-encoding":
          if (this.framing !== "none" || this.#value(field, text).toLowerCase() !== "chunked") return false;
          this.framing = "chunked";
          break;
        case "unserved":
          return false;
      }
    }
    // An explicit zero length is no body: the framing sent upstream then depends on the method only.
    if (this.framing === "length" && this.contentLength === 0) this.framing = "none";
    const cookies = this.#cookies;
    if (cookies !== undefined && hasMoreCookies(cookies, snapshot.config.limits.cookies)) return false;
    const known = hosts === 1 ? knownAuthority(this.#authority) : undefined;
    if (known === undefined) return false;
    this.#authority = known.text;
    this.#host = known.authority.host;
    return true;
  }

  #reset(): void {
    this.framing = "none";
    this.contentLength = 0;
    this.closing = false;
    this.#cookies = undefined;
  }

  #value(field: number, text: string): string {
    return text.slice(this.scan.valueStart(field), this.scan.valueEnd(field));
  }

  #addCookies(value: string): void {
    this.#cookies = this.#cookies === undefined ? value : `${this.#cookies}; ${value}`;
  }

  #readConnection(value: string): boolean {
    if (value === "keep-alive" || value === "Keep-Alive") return true;
    this.closing = value.toLowerCase() === "close";
    return this.closing;
  }

  /** A second length, or a length with a transfer coding, is ambiguous (RFC 9112 §6.3). */
  #readLength(value: string): boolean {
    if (this.framing !== "none" || !plainLength.test(value)) return false;
    this.contentLength = Number(value);
    this.framing = "length";
    return true;
  }
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
    this.table = new HeaderNameTable((name) => {
      const action = rules.action(name);
      return laneKinds.get(name) ?? (action === "managed" ? "rewritten" : action);
    });
  }
}

/** Gives access to a head's fields after other heads were parsed. */
interface Scanner {
  readonly scan: HeaderScanner;
  reclaim(head: FastHead): void;
}

interface FastHeadParts {
  readonly method: string;
  /** The whole head, as Latin-1. */
  readonly text: string;
  readonly target: string;
  /** Length of the target's path, in characters. */
  readonly pathLength: number;
  readonly pathIsPlain: boolean;
  readonly queryIsPlain: boolean;
  readonly authority: string;
  readonly host: string;
  readonly cookies: string | undefined;
}

/** A request head in the fast lane: one string, in which fields are looked up on demand. */
export class FastHead implements RequestHead {
  readonly method: string;
  readonly text: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly pathIsPlain: boolean;
  readonly queryIsPlain: boolean;
  readonly authority: string;
  readonly host: string;
  readonly cookies: string | undefined;
  readonly #scanner: Scanner;

  constructor(scanner: Scanner, parts: FastHeadParts) {
    const { method, text, target, pathLength, pathIsPlain, queryIsPlain, authority, host, cookies } = parts;
    const isWhole = pathLength === target.length;
    this.method = method;
    this.text = text;
    this.target = target;
    this.path = isWhole ? target : target.slice(0, pathLength);
    this.query = isWhole ? "" : target.slice(pathLength + 1);
    this.pathIsPlain = pathIsPlain;
    this.queryIsPlain = queryIsPlain;
    this.authority = authority;
    this.host = host;
    this.cookies = cookies;
    this.#scanner = scanner;
  }

  header(name: string): string | undefined | typeof repeated {
    this.#scanner.reclaim(this);
    const { scan } = this.#scanner;
    let found: string | undefined;
    for (let field = 0; field < scan.count; field++) {
      if (!isNamed(this.text, scan.start(field), scan.nameEnd(field), name)) continue;
      if (found !== undefined) return repeated;
      found = this.text.slice(scan.valueStart(field), scan.valueEnd(field));
    }
    return found;
  }

  headerLines(name: string): readonly string[] {
    this.#scanner.reclaim(this);
    const { scan } = this.#scanner;
    const lines: string[] = [];
    for (let field = 0; field < scan.count; field++) {
      if (!isNamed(this.text, scan.start(field), scan.nameEnd(field), name)) continue;
      lines.push(this.text.slice(scan.valueStart(field), scan.valueEnd(field)));
    }
    return lines;
  }
}
