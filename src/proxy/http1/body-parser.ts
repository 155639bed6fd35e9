import type { ErrorCause, ErrorCode } from "../../errors.ts";
import { latin1Slice } from "../../node-internals.ts";
import {
  backslash,
  byteClasses,
  carriageReturn,
  HeaderScanner,
  irregular,
  isBlank,
  lineFeed,
  PartialHead,
  semicolon,
  tokenByte,
  valueByte,
} from "./header-scanner.ts";

/** Parses the body of one message, with any framing, and passes it on. */
export class BodyParser {
  /** The body's length in bytes, or how else its end is found. */
  framing: number | "chunked" | "until close" = 0;
  #chunks: ChunkedParser | undefined;
  #length: number = Number.POSITIVE_INFINITY;
  #bytes = 0;
  #ended = false;

  /** `framing`: a length in bytes, `chunked`, or `until close` if the body ends with the connection. */
  constructor(framing: number | "chunked" | "until close", maxTrailerBytes: number) {
    this.restart(framing, maxTrailerBytes);
  }

  /** For another body. */
  restart(framing: number | "chunked" | "until close", maxTrailerBytes: number): void {
    this.framing = framing;
    this.#chunks = framing === "chunked" ? new ChunkedParser(maxTrailerBytes) : undefined;
    this.#length = typeof framing === "number" ? framing : Number.POSITIVE_INFINITY;
    this.#bytes = 0;
    this.#ended = false;
  }

  /** Content bytes so far, without framing. */
  get bytes(): number {
    return this.#chunks?.dataBytes ?? this.#bytes;
  }

  get complete(): boolean {
    return this.#chunks?.done ?? (this.#ended || this.#bytes === this.#length);
  }

  /** The error in the body, if one was found so far. */
  get failure(): ChunkedFailure | undefined {
    return this.#chunks?.failure;
  }

  /** The cause of `failure`. */
  get cause(): ChunkedCause | undefined {
    return this.#chunks?.cause;
  }

  /** Trailer fields of a complete chunked body, flat. */
  get trailers(): readonly string[] {
    return this.#chunks?.trailers ?? [];
  }

  /** Returns the position after the last byte of the body. Chunks are passed on with their framing. */
  read(bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    if (this.#chunks !== undefined) return this.#chunks.read(bytes, from, to, sink);
    const end = Math.min(to, from + this.#length - this.#bytes);
    this.#bytes += end - from;
    if (end > from) sink.passBytes(bytes, from, end);
    return end;
  }

  /** The sender has closed, which ends an `until close` body. */
  closed(): void {
    this.#ended = this.#length === Number.POSITIVE_INFINITY && this.#chunks === undefined;
  }
}

/** What the causes are called in a response. */
export const responseBodyCauses = {
  "invalid-chunk": "invalid-chunk",
  "chunk-extensions": "chunk-extensions-too-large",
  "invalid-trailer": "invalid-trailer",
  "forbidden-trailer": "invalid-trailer",
  trailers: "trailers-too-large",
} as const satisfies Record<ChunkedCause, ErrorCause<"upstream-malformed">>;

/** Maximum size of the trailer section of a response. */
export const maxResponseTrailerBytes: number = 64 * 1024;

/** Receives the bytes of a body to pass on. */
export interface ChunkedSink {
  /** Bytes to pass on unchanged; of a chunked body: size lines, data and chunk ends. */
  passBytes(bytes: Buffer, from: number, to: number): void;
}

/** For a body that is read and discarded. */
export const nowhere: ChunkedSink = { passBytes: () => {} };

const equalsSign = 0x3d;
const quote = 0x22;

/** Maximum bytes of chunk extensions per body. */
const maxExtensionBytes = 16 * 1024;
/** Enough for 2^53, with a few leading zeros. */
const maxSizeDigits = 16;

const trailerScan = new HeaderScanner();

type State =
  | "size"
  | "size blank"
  | "extension start"
  | "extension name"
  | "extension name blank"
  | "extension value start"
  | "extension value blank"
  | "extension value"
  | "quoted value"
  | "quoted pair"
  | "quoted end"
  | "extension blank"
  | "size end"
  | "data"
  | "data end"
  | "data line feed"
  | "trailers"
  | "done"
  | "malformed"
  /** The chunk extensions or trailer fields are over their limit. */
  | "too large";

export type ChunkedFailure = Extract<ErrorCode, "bad-request" | "headers-too-large">;
export type ChunkedCause =
  | Extract<ErrorCause<"bad-request">, "invalid-chunk" | "invalid-trailer" | "forbidden-trailer">
  | Extract<ErrorCause<"headers-too-large">, "trailers" | "chunk-extensions">;

/**
 * Parses a chunked body (RFC 9112 §7.1) incrementally. Passes everything on unchanged except chunk extensions, which
 * are hop-by-hop, and trailer fields, which are kept for the caller.
 */
export class ChunkedParser {
  /** Bytes of data so far. */
  dataBytes = 0;
  /** Trailer fields, flat: name, value, name, value. Complete once `done`. */
  trailers: readonly string[] = noTrailers;
  #state: State = "size";
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailerPart: PartialHead | undefined;
  readonly #maxTrailerBytes: number;

  /** `maxTrailerBytes`: limit of the trailer section, the same as for a head. */
  constructor(maxTrailerBytes: number) {
    this.#maxTrailerBytes = maxTrailerBytes;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** The error code for a request with such a body. */
  get failure(): ChunkedFailure | undefined {
    if (this.#state === "malformed") return "bad-request";
    return this.#state === "too large" ? "headers-too-large" : undefined;
  }

  get cause(): ChunkedCause | undefined {
    const isInTrailers = this.#trailerPart !== undefined;
    if (this.#state === "too large") return isInTrailers ? "trailers" : "chunk-extensions";
    if (this.#state !== "malformed") return undefined;
    if (!isInTrailers) return "invalid-chunk";
    return this.trailers.length > 0 ? "forbidden-trailer" : "invalid-trailer";
  }

  /**
   * Parses more bytes, and returns the position after the last byte of the body. Once `done`, all but the final empty
   * line was passed on: the caller writes the trailer fields, if any, and that line.
   */
  read(bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    let at = from;
    let passFrom = from;
    let dataEnd = from;
    while (at < to) {
      switch (this.#state) {
        case "data": {
          const length = Math.min(this.#size, to - at);
          this.#size -= length;
          this.dataBytes += length;
          at += length;
          dataEnd = at;
          if (this.#size === 0) this.#state = "data end";
          break;
        }
        case "trailers":
          if (at > passFrom) sink.passBytes(bytes, passFrom, at);
          return this.#readTrailers(bytes, at, to);
        case "size blank":
        case "extension start":
        case "extension name":
        case "extension name blank":
        case "extension value start":
        case "extension value blank":
        case "extension value":
        case "quoted value":
        case "quoted pair":
        case "quoted end":
        case "extension blank":
          if (at > passFrom) sink.passBytes(bytes, passFrom, at);
          at = this.#readExtension(bytes, at, to);
          passFrom = at;
          break;
        case "done":
          return at;
        case "malformed":
        case "too large":
          if (dataEnd > passFrom) sink.passBytes(bytes, passFrom, dataEnd);
          return at;
        default:
          this.#readFraming(bytes[at] as number);
          // The semicolon, or the blank before it, belongs to the extension.
          if ((this.#state as State) === "extension start" || (this.#state as State) === "size blank") {
            if (at > passFrom) sink.passBytes(bytes, passFrom, at);
            passFrom = at + 1;
          }
          at++;
      }
    }
    const passTo = this.failure === undefined ? at : dataEnd;
    if (passTo > passFrom) sink.passBytes(bytes, passFrom, passTo);
    return at;
  }

  #readFraming(byte: number): void {
    switch (this.#state) {
      case "size":
        this.#readSize(byte);
        break;
      case "size end":
        if (byte !== lineFeed) this.#state = "malformed";
        else this.#state = this.#size === 0 ? "trailers" : "data";
        this.#digits = 0;
        break;
      case "data end":
        this.#state = byte === carriageReturn ? "data line feed" : "malformed";
        break;
      default:
        this.#state = byte === lineFeed ? "size" : "malformed";
    }
  }

  #readSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit;
      if (++this.#digits > maxSizeDigits || this.#size > Number.MAX_SAFE_INTEGER) this.#state = "malformed";
    } else if (this.#digits === 0) this.#state = "malformed";
    else if (byte === carriageReturn) this.#state = "size end";
    else if (byte === semicolon) this.#state = "extension start";
    else if (isBlank(byte)) this.#state = "size blank";
    else this.#state = "malformed";
  }

  /** Skips to the carriage return, where the size line continues as if there were no extension. */
  #readExtension(bytes: Buffer, from: number, to: number): number {
    let at = from;
    for (; at < to; at++) {
      const byte = bytes[at] as number;
      if (byte === carriageReturn && mayEndExtension.has(this.#state)) {
        this.#state = "size";
        return at;
      }
      if (++this.#extensionBytes > maxExtensionBytes) this.#state = "too large";
      else this.#state = nextInExtension(this.#state, byte);
      if (this.failure !== undefined) return at;
    }
    return at;
  }

  #readTrailers(bytes: Buffer, from: number, to: number): number {
    const before = this.#trailerPart?.length ?? 0;
    if (this.#trailerPart === undefined) this.#trailerPart = new PartialHead(bytes, from, to);
    else if (!this.#trailerPart.append(bytes, from, to) && before + to - from <= this.#maxTrailerBytes) return to;
    const part = this.#trailerPart;
    const end = trailerScan.scan(part.bytes, 0, 0, part.length);
    if (end === irregular) this.#state = "malformed";
    else if ((end < 0 ? part.length : end) > this.#maxTrailerBytes) this.#state = "too large";
    if (end < 0 || this.failure !== undefined) return to;
    this.trailers = trailerScan.count === 0 ? noTrailers : flat(latin1Slice(part.bytes, 0, end));
    this.#state = framesMessage(this.trailers) ? "malformed" : "done";
    return from + end - before;
  }
}

const mayEndExtension: ReadonlySet<State> = new Set<State>([
  "extension name",
  "extension value start",
  "extension value",
  "quoted end",
]);

const noTrailers: readonly string[] = Object.freeze([]);

/** A length or a coding behind the body could be taken for this message's or the next one's (RFC 9110 §6.5.1). */
function framesMessage(trailers: readonly string[]): boolean {
  return trailers.some((name, at) => at % 2 === 0 && /^(?:content-length|transfer-encoding)$/i.test(name));
}

function flat(text: string): string[] {
  const fields: string[] = [];
  for (let field = 0; field < trailerScan.count; field++) {
    fields.push(
      text.slice(trailerScan.start(field), trailerScan.nameEnd(field)),
      text.slice(trailerScan.valueStart(field), trailerScan.valueEnd(field)),
    );
  }
  return fields;
}

/** Blanks may stand around `;` and `=` (RFC 9112 §7.1.1), and nowhere else: not at the end of the line. */
function nextInExtension(state: State, byte: number): State {
  const isToken = ((byteClasses[byte] as number) & tokenByte) !== 0;
  const isValue = ((byteClasses[byte] as number) & valueByte) !== 0;
  switch (state) {
    case "quoted pair":
      return isValue ? "quoted value" : "malformed";
    case "quoted value":
      if (byte === quote) return "quoted end";
      if (byte === backslash) return "quoted pair";
      return isValue ? "quoted value" : "malformed";
    case "size blank":
    case "extension blank":
      if (isBlank(byte)) return state;
      return byte === semicolon ? "extension start" : "malformed";
    case "quoted end":
      if (isBlank(byte)) return "extension blank";
      return byte === semicolon ? "extension start" : "malformed";
    case "extension value start":
    case "extension value blank":
      if (isBlank(byte)) return "extension value blank";
      if (byte === quote) return "quoted value";
      if (byte === semicolon && state === "extension value start") return "extension start";
      return isToken ? "extension value" : "malformed";
    case "extension value":
      if (isBlank(byte)) return "extension blank";
      if (byte === semicolon) return "extension start";
      return isToken ? "extension value" : "malformed";
    case "extension name blank":
      if (isBlank(byte)) return state;
      if (byte === equalsSign) return "extension value start";
      return byte === semicolon ? "extension start" : "malformed";
    default:
      if (isBlank(byte)) return state === "extension start" ? state : "extension name blank";
      if (byte === equalsSign) return "extension value start";
      if (byte === semicolon) return "extension start";
      return isToken ? "extension name" : "malformed";
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
