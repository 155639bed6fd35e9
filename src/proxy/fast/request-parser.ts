import { knownAuthority } from "../../http/authority.ts";
import { hasMoreCookies } from "../../http/cookies.ts";
import { type RequestHead, repeated } from "../../http/request-head.ts";
import { latin1Slice } from "../../node-internals.ts";
import type { RequestHeaderAction } from "../request-header-rules.ts";
import type { Snapshot } from "../snapshot.ts";
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
  slash,
  targetByte,
} from "./header-scanner.ts";

/** How a request's body is framed. */
export type BodyFraming = "none" | "length" | "chunked";

/** Methods and how they begin; all others are the standard lane's. */
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

/** A body's length in bytes that is a number beyond doubt: no sign, no leading zero, exact in a double. */
const plainLength = /^(?:0|[1-9]\d{0,14})$/;

/**
 * Reads request heads, strictly and narrowly: what is not recognised without any doubt is `irregular`, and the standard
 * lane's to judge, with its answer. The last head read stays in place until the next: fields, their kinds, the framing.
 */
export class RequestParser {
  readonly scan: HeaderScanner = new HeaderScanner();
  framing: BodyFraming = "none";
  contentLength = 0;
  /** Whether the client wants the connection closed after this request. */
  closing = false;
  /** Position after the head, in the bytes that were given. */
  end = 0;
  /** Whose fields the scan holds. */
  head: FastHead | undefined;
  readonly #kinds: RequestField[] = [];
  #fields: RequestFields | undefined;
  #authority = "";
  #host = "";
  #cookies: string | undefined;
  #pathIsPlain = true;

  /** Reads the head that starts at `from`, in bytes that end before `to`. */
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

  /** Answers with the path's end, and notes whether anything in it could have to be changed (as `normalPath` would). */
  #readPath(bytes: Uint8Array, from: number, to: number): number {
    let plain = true;
    let before = 0;
    let at = from;
    for (; at < to; at++) {
      const code = bytes[at] as number;
      if (((byteClasses[code] as number) & targetByte) === 0 || code === questionMark) break;
      if (code === percent || code === backslash) plain = false;
      if (before === slash && (code === slash || code === dot)) plain = false;
      before = code;
    }
    this.#pathIsPlain = plain;
    return at;
  }

  /** What a field of the head that was read last is. */
  kind(field: number): RequestField {
    return this.#kinds[field] as RequestField;
  }

  /** Makes the scan that of this head again, where another one was read since. */
  reclaim(head: FastHead): void {
    if (this.head === head) return;
    this.head = head;
    const bytes = Buffer.from(head.text, "latin1");
    this.scan.scan(bytes, 0, bytes.indexOf("\n") + 1, bytes.length);
  }

  #orTooLong(length: number, snapshot: Snapshot): typeof incomplete | typeof irregular {
    return length > snapshot.config.limits.headerBytes ? irregular : incomplete;
  }

  /** One pass over the fields for what every request is asked; false where one is not this lane's. */
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
    // Said in so many words, but no body: what goes upstream depends on the method only.
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

  /** A second length, or one beside chunks, is ambiguous (RFC 9112 §6.3). */
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

/** What a request's field is to the fast lane: the rules' action, or one of its own. */
export type RequestField =
  | Exclude<RequestHeaderAction, "managed">
  | "host"
  | "via"
  /** Written anew by Perch, or dropped. */
  | "rewritten"
  | "content-length"
  | "transfer-encoding"
  /** Makes the request one for the standard lane. */
  | "unserved";

const own: ReadonlyMap<string, RequestField> = new Map([
  ["host", "host"],
  ["via", "via"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["upgrade", "unserved"],
  ["http2-settings", "unserved"],
  ["expect", "unserved"],
]);

/** The fields of requests by name, as the snapshot's rules have them. */
export class RequestFields {
  readonly snapshot: Snapshot;
  readonly table: HeaderNameTable<RequestField>;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    const rules = snapshot.requestHeaders;
    this.table = new HeaderNameTable((name) => {
      const action = rules.action(name);
      return own.get(name) ?? (action === "managed" ? "rewritten" : action);
    });
  }
}

/** Where a head's fields can be looked up again. */
interface Scanner {
  readonly scan: HeaderScanner;
  reclaim(head: FastHead): void;
}

interface FastHeadParts {
  readonly method: string;
  /** The whole head, byte for character. */
  readonly text: string;
  readonly target: string;
  /** Of the target, in characters. */
  readonly pathLength: number;
  readonly pathIsPlain: boolean;
  readonly queryIsPlain: boolean;
  readonly authority: string;
  readonly host: string;
  readonly cookies: string | undefined;
}

/** A request head as the fast lane read it: one text, and fields that are looked up in it when somebody asks. */
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
