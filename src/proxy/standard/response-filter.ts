import type { Socket } from "node:net";
import { type ErrorCause, PerchError } from "../../errors.ts";
import { fieldLines } from "../../http/header-fields.ts";
import { type SocketWatcher, watchSocket } from "../../node-internals.ts";
import type { ResponseHeadLimits } from "../../upstream/service-spec.ts";
import { malformed } from "../attempt-failure.ts";
import { BodyParser, type ChunkedSink, maxResponseTrailerBytes, responseBodyCauses } from "../http1/body-parser.ts";
import { PartialHead } from "../http1/header-scanner.ts";
import { InterimRelay } from "../http1/interim-relay.ts";
import { ResponseParser } from "../http1/response-parser.ts";
import { isBodiless } from "../response-headers.ts";

/** Its results are used before another connection's bytes are parsed. */
const parser = new ResponseParser();

/**
 * Stands between an upstream connection and undici, so that both lanes judge responses alike. undici's parser accepts a
 * bare CR, other versions and leading empty lines, rejects a 100, and takes a reset for the end of a body without a
 * length. What passes here is strict HTTP/1.1: interim responses are counted and those that are not forwarded are
 * dropped, a head arrives in one piece, chunks have no extensions.
 *
 * Requests are not pipelined: the first write after a complete response begins the next request.
 */
export class ResponseFilter implements ChunkedSink, SocketWatcher {
  readonly #socket: Socket;
  readonly #limits: ResponseHeadLimits;
  readonly #surplus: () => void;
  readonly #upgrades: "asked" | "refused";
  readonly #push: (chunk: Buffer | null) => boolean;
  readonly #pieces = new Pieces();
  #step: "no request" | "head" | "body" | "upgraded" | "failed" = "no request";
  /** Why it failed. */
  #fault: ErrorCause<"upstream-malformed"> = "other";
  #method: "HEAD" | "other" = "other";
  /** A write has found the connection reset; the kernel reports that once, and then an end. */
  #isReset = false;
  #partialHead: PartialHead | undefined;
  #body: BodyParser | undefined;
  readonly #interim = new InterimRelay(this.#pieces);

  /**
   * For a connection before undici, or node's client, has it. `surplus` is called where bytes follow a complete response.
   * `asked`: what follows a 101 passes unread.
   */
  static install(
    socket: Socket,
    limits: ResponseHeadLimits,
    surplus: () => void,
    upgrades: "asked" | "refused" = "refused",
  ): void {
    new ResponseFilter(socket, limits, surplus, upgrades);
  }

  private constructor(socket: Socket, limits: ResponseHeadLimits, surplus: () => void, upgrades: "asked" | "refused") {
    this.#upgrades = upgrades;
    this.#limits = limits;
    this.#socket = socket;
    this.#surplus = surplus;
    this.#push = watchSocket(socket, this);
  }

  /** Of the body's parser. */
  passBytes(bytes: Buffer, from: number, to: number): void {
    this.#pieces.add(bytes, from, to);
  }

  /** undici ends a body without a length at ECONNRESET as if it were whole. */
  destroying(error: Error | undefined): Error | undefined {
    return this.#isDue && isReset(error) ? new PerchError("upstream-reset", error) : error;
  }

  get #isDue(): boolean {
    return this.#step === "head" || this.#step === "body";
  }

  writing(chunk: unknown): void {
    if (this.#step !== "no request") return;
    this.#step = "head";
    this.#interim.restart();
    // undici writes heads as strings.
    this.#method = typeof chunk === "string" && chunk.startsWith("HEAD ") ? "HEAD" : "other";
  }

  /**
   * An upstream that rejects an upload and closes resets the connection, while its response may still be unread in the
   * kernel. So a failed write is reported to nobody: reading on finds the response, or the end of the connection.
   */
  written(error: Error | null | undefined, done: (error?: Error | null) => void): void {
    if (this.#isDue && isReset(error)) this.#isReset = true;
    else done(error);
  }

  received(chunk: Buffer | null): boolean {
    if (chunk === null && this.#isReset && this.#body?.framing === "until close") {
      this.#socket.destroy(new PerchError("upstream-reset"));
      return false;
    }
    if (chunk === null || this.#step === "no request" || this.#step === "upgraded") return this.#push(chunk);
    if (this.#step === "failed") return false;
    for (let at = 0; at < chunk.length; ) at = this.#read(chunk, at);
    const passed = this.#pieces.take();
    const mayContinue = passed === undefined || this.#push(passed);
    // After the tick in which undici reads what was valid.
    if (this.#hasFailed) process.nextTick(() => this.#socket.destroy(malformed(this.#fault)));
    return mayContinue && !this.#hasFailed;
  }

  get #hasFailed(): boolean {
    return this.#step === "failed";
  }

  /** Returns the position up to which the chunk is processed. */
  #read(chunk: Buffer, from: number): number {
    if (this.#step === "head") return this.#readHead(chunk, from);
    if (this.#step === "body" && this.#body !== undefined) return this.#readBody(this.#body, chunk, from);
    // Bytes behind a response: undici closes the connection.
    if (this.#step === "no request") {
      this.#pieces.add(chunk, from, chunk.length);
      this.#surplus();
    }
    if (this.#step === "upgraded") this.#pieces.add(chunk, from, chunk.length);
    return chunk.length;
  }

  #readHead(chunk: Buffer, from: number): number {
    const before = this.#partialHead?.length ?? 0;
    const { length } = chunk;
    if (this.#partialHead !== undefined) {
      const mayEnd = this.#partialHead.append(chunk, from, length);
      if (!mayEnd && this.#partialHead.length <= this.#limits.bytes) return length;
    }
    const { bytes, start, end } =
      this.#partialHead === undefined
        ? { bytes: chunk, start: from, end: length }
        : { bytes: this.#partialHead.bytes, start: 0, end: this.#partialHead.length };
    const result = parser.read(bytes, start, end, this.#limits);
    if (result === "incomplete") {
      this.#partialHead ??= new PartialHead(chunk, from, length);
      return length;
    }
    this.#partialHead = undefined;
    const fault = result === "malformed" ? parser.cause : this.#passHead(bytes, start);
    if (fault !== undefined) this.#fail(fault);
    return from + parser.end - start - before;
  }

  #fail(fault: ErrorCause<"upstream-malformed">): void {
    this.#step = "failed";
    this.#fault = fault;
  }

  /** Returns why the upstream may not send such a head. */
  #passHead(bytes: Buffer, start: number): ErrorCause<"upstream-malformed"> | undefined {
    const { status } = parser;
    const isUpgraded = status === 101 && this.#upgrades === "asked";
    if (status < 200 && !isUpgraded) return this.#interim.pass(parser);
    const { chunked, contentLength = "until close", minorVersion, reasonEnd } = parser;
    if (chunked && minorVersion === 0) {
      // Such a connection is not reused (RFC 9112 §6.1), also if it says keep-alive: undici reads that otherwise.
      const fields = fieldLines(parser.flat());
      this.#pieces.addText(`HTTP/1.1${parser.text(8, reasonEnd)}\r\n${fields}Connection: close\r\n\r\n`);
    } else if (parser.scan.evenlySpaced) this.#pieces.add(bytes, start, parser.end);
    else this.#pieces.addText(`${parser.text(0, reasonEnd)}\r\n${fieldLines(parser.flat())}\r\n`);
    if (isUpgraded) {
      this.#step = "upgraded";
      return undefined;
    }
    this.#body = isBodiless(status, this.#method)
      ? undefined
      : new BodyParser(chunked ? "chunked" : contentLength, maxResponseTrailerBytes);
    this.#step = this.#body === undefined || this.#body.complete ? "no request" : "body";
    return undefined;
  }

  #readBody(body: BodyParser, chunk: Buffer, from: number): number {
    const end = body.read(chunk, from, chunk.length, this);
    if (body.cause !== undefined) {
      this.#fail(responseBodyCauses[body.cause]);
      return chunk.length;
    }
    if (!body.complete) return end;
    this.#step = "no request";
    // The parser leaves the trailers and the last empty line to its caller.
    if (body.framing !== "chunked") return end;
    if (body.trailers.length === 0 && end - from >= 2) this.#pieces.add(chunk, end - 2, end);
    else this.#pieces.addText(`${fieldLines(body.trailers)}\r\n`);
    return end;
  }
}

function isReset(error: (Error & { readonly code?: unknown }) | null | undefined): boolean {
  return error?.code === "ECONNRESET" || error?.code === "EPIPE";
}

/** Parts of what was read, without copying as long as they are contiguous. */
class Pieces {
  #done: Buffer[] = [];
  #bytes: Buffer | undefined;
  #from = 0;
  #to = 0;

  add(bytes: Buffer, from: number, to: number): void {
    if (this.#bytes === bytes && this.#to === from) {
      this.#to = to;
      return;
    }
    this.#flush();
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
  }

  addText(text: string): void {
    this.#flush();
    this.#done.push(Buffer.from(text, "latin1"));
  }

  /** Everything added since the last call, undefined if nothing was. */
  take(): Buffer | undefined {
    this.#flush();
    const pieces = this.#done;
    if (pieces.length === 0) return undefined;
    this.#done = [];
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  }

  #flush(): void {
    const bytes = this.#bytes;
    if (bytes === undefined) return;
    this.#bytes = undefined;
    const isWhole = this.#from === 0 && this.#to === bytes.length;
    if (this.#to > this.#from) this.#done.push(isWhole ? bytes : bytes.subarray(this.#from, this.#to));
  }
}
