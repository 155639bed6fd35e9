import type { CookieScan } from "../../http/cookie-scan.ts";
import { type CookieNames, maxOccurrences } from "../../http/cookies.ts";
import { type CookieBytes, type RequestHead, repeated } from "../../http/request-head.ts";
import { latin1Slice } from "../../node-internals.ts";
import { type HeaderScanner, isSame } from "../http1/header-scanner.ts";
import type { Snapshot } from "../snapshot.ts";

/** Gives access to the fields of a head after other heads were parsed. */
export interface FieldReader {
  readonly scan: HeaderScanner;
  /** Where the head has its only Cookie field, or -1. */
  readonly cookieField: number;
  /** Reads the fields of this head again if another one was read since. */
  reclaim(head: FastHead): void;
  /** The cookies of the only Cookie field; see `CookieScan`. */
  cookiesOf(head: FastHead, names: CookieNames): CookieScan;
}

const firstBytes = 2048;
const noBytes: Buffer = Buffer.alloc(0);
/** Of the last call of `cookieBytes`. */
const found = { bytes: noBytes, places: new Int32Array(2 * maxOccurrences), count: 0 };
const unread: unique symbol = Symbol("unread");

/**
 * A request head in the fast lane: bytes, of which text is made where it is asked for. The bytes are those that were
 * read, which the next read overwrites, until `keep` copies them. One object serves many requests, one after the other.
 */
export class FastHead implements RequestHead {
  method = "";
  authority = "";
  host = "";
  pathIsPlain = false;
  queryIsPlain = false;
  /** The bytes that hold the head, from `start` on. */
  bytes: Buffer = noBytes;
  start = 0;
  length = 0;
  /** Length of the request line with its CR LF. */
  lineLength = 0;
  /** That its fields were classified by. */
  snapshot: Snapshot | undefined;
  /** Of the cookies that do not go upstream: Perch's own, and those that this caller may not set. */
  cookieNames: CookieNames | undefined;
  readonly #reader: FieldReader;
  #targetStart = 0;
  #pathLength = 0;
  #targetLength = 0;
  #hasCookies = false;
  #target: string | undefined;
  #path: string | undefined;
  #cookies: string | undefined | typeof unread = unread;
  #own: Buffer | undefined;

  constructor(reader: FieldReader) {
    this.#reader = reader;
  }

  /** Positions are within `bytes`; `pathEnd` and `targetEnd` are exclusive. */
  setLine(method: string, targetStart: number, pathEnd: number, targetEnd: number, lineEnd: number): void {
    this.method = method;
    this.#targetStart = targetStart - this.start;
    this.#pathLength = pathEnd - targetStart;
    this.#targetLength = targetEnd - targetStart;
    this.lineLength = lineEnd - this.start;
    this.#target = undefined;
    this.#path = undefined;
  }

  setCookies(hasCookies: boolean): void {
    this.#hasCookies = hasCookies;
    this.#cookies = hasCookies ? unread : undefined;
  }

  /** Copies the bytes, so that the head can still be read in a later event. */
  keep(): void {
    if (this.bytes === this.#own) return;
    if (this.#own === undefined || this.#own.length < this.length) {
      this.#own = Buffer.allocUnsafeSlow(Math.max(firstBytes, this.length));
    }
    this.bytes.copy(this.#own, 0, this.start, this.start + this.length);
    this.bytes = this.#own;
    this.start = 0;
  }

  /** Its request has ended: lets go of what a usual head does not need. */
  release(): void {
    if (this.#own !== undefined && this.#own.length > firstBytes) this.#own = undefined;
    this.bytes = this.#own ?? noBytes;
  }

  get target(): string {
    this.#target ??= this.text(this.#targetStart, this.#targetStart + this.#targetLength);
    return this.#target;
  }

  get path(): string {
    this.#path ??= this.text(this.#targetStart, this.#targetStart + this.#pathLength);
    return this.#path;
  }

  get hasQuery(): boolean {
    return this.#targetLength > this.#pathLength + 1;
  }

  get query(): string {
    return this.hasQuery
      ? this.text(this.#targetStart + this.#pathLength + 1, this.#targetStart + this.#targetLength)
      : "";
  }

  get hasCookies(): boolean {
    return this.#hasCookies;
  }

  get cookies(): string | undefined {
    if (this.#cookies === unread) this.#cookies = this.headerLines("cookie").join("; ");
    return this.#cookies;
  }

  /** The cookies that do not go upstream, if they can be told from the bytes: the head has one Cookie field. */
  scanCookies(): CookieScan | undefined {
    if (!this.#hasCookies || this.cookieNames === undefined) return undefined;
    this.#reader.reclaim(this);
    return this.#reader.cookieField < 0 ? undefined : this.#reader.cookiesOf(this, this.cookieNames);
  }

  cookieBytes(name: string): CookieBytes | undefined {
    const scan = this.scanCookies();
    const names = this.cookieNames?.list;
    if (scan === undefined || names === undefined || !scan.foundAll) return undefined;
    found.bytes = this.bytes;
    found.count = 0;
    for (let cookie = 0; cookie < scan.foundCount; cookie++) {
      if (names[scan.nameOf(cookie)] !== name) continue;
      found.places[found.count * 2] = scan.valueStart(cookie);
      found.places[found.count * 2 + 1] = scan.valueEnd(cookie);
      found.count++;
    }
    return found;
  }

  /** A part of the head as Latin-1, between two positions from its start. */
  text(from: number, to: number): string {
    return latin1Slice(this.bytes, this.start + from, this.start + to);
  }

  header(name: string): string | undefined | typeof repeated {
    this.#reader.reclaim(this);
    const { scan } = this.#reader;
    let found = -1;
    for (let field = 0; field < scan.count; field++) {
      if (!this.#isNamed(field, name)) continue;
      if (found >= 0) return repeated;
      found = field;
    }
    return found < 0 ? undefined : this.text(scan.valueStart(found), scan.valueEnd(found));
  }

  headerLines(name: string): readonly string[] {
    this.#reader.reclaim(this);
    const { scan } = this.#reader;
    const lines: string[] = [];
    for (let field = 0; field < scan.count; field++) {
      if (this.#isNamed(field, name)) lines.push(this.text(scan.valueStart(field), scan.valueEnd(field)));
    }
    return lines;
  }

  #isNamed(field: number, name: string): boolean {
    const { scan } = this.#reader;
    const start = scan.start(field);
    if (scan.nameEnd(field) - start !== name.length) return false;
    return isSame(this.bytes, this.start + start, name);
  }
}
