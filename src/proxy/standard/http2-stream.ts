import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { Dispatcher } from "undici";
import { type ErrorCause, PerchError } from "../../errors.ts";
import { hasBlankEdges } from "../../http/header-fields.ts";
import type { ResponseHeadLimits, Timeouts } from "../../upstream/service-spec.ts";
import { malformed } from "../attempt-failure.ts";
import { maxInterimResponses } from "../interim-responses.ts";
import { fieldBytes, trailerFields } from "./http2-client.ts";
import { exceedsHttp2 } from "./http2-head-limits.ts";
import type { UpstreamRequest } from "./transport.ts";

export type StreamEnd = "ended" | "unusable";

/** The connection of a stream. */
export interface StreamParts {
  readonly session: ClientHttp2Session;
  readonly scheme: string;
  /** The default for requests without Host. */
  readonly authority: string;
  readonly timeouts: Pick<Timeouts, "responseHeadersMs" | "idleMs">;
  readonly responseHead: ResponseHeadLimits;
  /** Whether the endpoint may have processed this stream, according to its GOAWAY. */
  readonly mayBeProcessed: (stream: number | undefined) => boolean;
  /** `unusable`: no further request should use the connection. */
  readonly ended: (how: StreamEnd) => void;
  /** The stream has closed with this code. */
  readonly closed: (code: number | undefined) => void;
}

/**
 * One request to an endpoint as an HTTP/2 stream. Calls its handler as undici does: start, heads, body and end, or one
 * error.
 */
export class Http2UpstreamStream implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  rawHeaders: string[] | null = null;
  rawTrailers: string[] | null = null;
  readonly #request: UpstreamRequest;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #parts: StreamParts;
  /** Aborts a request with a body; see `#cancel`. */
  readonly #aborter: AbortController | undefined;
  #stream: ClientHttp2Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = 0;
  #isDue = false;
  #hasResponse = false;
  #hasLongHead = false;
  #interimResponses = 0;
  /** Whether the response is complete, and not only the stream closed. */
  #isComplete = false;
  #isOver = false;

  constructor(request: UpstreamRequest, handler: Dispatcher.DispatchHandler, parts: StreamParts) {
    this.#request = request;
    this.#handler = handler;
    this.#parts = parts;
    this.#aborter = request.body === null ? undefined : new AbortController();
  }

  start(): void {
    const { body, trailers } = this.#request;
    this.#handler.onRequestStart?.(this, {});
    if (this.#isOver) return;
    const head = this.#head();
    if (exceedsHttp2(head)) {
      this.#fail(new PerchError("headers-too-large", "size"));
      return;
    }
    try {
      const stream = this.#parts.session.request(head, {
        endStream: body === null,
        waitForTrailers: trailers !== undefined,
        ...(this.#aborter === undefined ? {} : { signal: this.#aborter.signal }),
      });
      this.#stream = stream;
      this.#listen(stream);
      if (body === null) this.#arm(this.#parts.timeouts.responseHeadersMs);
      else this.#sendBody(stream, body);
    } catch (error) {
      // The connection has just begun to close, or node rejects the head.
      const isClosing = this.#parts.session.closed || this.#parts.session.destroyed;
      this.#fail(new PerchError(isClosing ? "upstream-refused" : "internal-error", error));
    }
  }

  abort(reason: Error): void {
    this.aborted = true;
    this.reason = reason;
    this.#fail(reason);
  }

  pause(): void {
    this.paused = true;
    // While the client is slow, the endpoint may be idle.
    this.#disarm();
    this.#stream?.pause();
  }

  resume(): void {
    this.paused = false;
    if (this.#isOver) return;
    this.#arm(this.#parts.timeouts.idleMs);
    this.#stream?.resume();
  }

  #head(): string[] {
    const { method, path, headers } = this.#request;
    const fields: string[] = [];
    let { authority } = this.#parts;
    for (let i = 0; i < headers.length; i += 2) {
      const name = (headers[i] ?? "").toLowerCase();
      if (name === "host") authority = headers[i + 1] ?? authority;
      else fields.push(name, headers[i + 1] ?? "");
    }
    return [":method", method, ":scheme", this.#parts.scheme, ":authority", authority, ":path", path, ...fields];
  }

  #listen(stream: ClientHttp2Stream): void {
    onWholeBody(stream, () => {
      this.#isComplete = true;
    });
    stream.on("headers", (_headers, _flags, raw) => this.#onInterim(raw as unknown as string[]));
    stream.on("response", (_headers, flags, raw) => {
      this.#hasResponse = true;
      this.#call(() => this.#onHead(raw as unknown as string[]));
      // Reported at once, so that a response without a body ends with its head for the client as well.
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) === 0) return;
      this.#isComplete = true;
      this.#complete();
    });
    stream.on("trailers", (_trailers, _flags, raw) => {
      const fields = raw as unknown as string[];
      if (hasBlankEdges(fields)) this.#fail(malformed("invalid-header-value"));
      else this.rawTrailers = fields;
    });
    stream.on("data", (chunk: Buffer) => {
      if (this.#isOver) return;
      this.#arm(this.#parts.timeouts.idleMs);
      this.#call(() => this.#handler.onResponseData?.(this, chunk));
    });
    stream.on("end", () => {
      if (this.#isComplete) this.#complete();
    });
    // `close` follows, with the error code in `rstCode`.
    stream.on("error", (error) => {
      this.#hasLongHead = tooManyFrames.test(error.message);
    });
    stream.on("close", () => {
      this.#parts.closed(stream.rstCode);
      // Also node's own code, once a session's memory is used up: it counts data of aborted streams forever.
      const how = stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM ? "unusable" : "ended";
      this.#fail(this.#failure(stream), how);
    });
  }

  #onInterim(raw: string[]): void {
    if (this.#isOver) return;
    if (++this.#interimResponses <= maxInterimResponses) this.#call(() => this.#onHead(raw));
    else this.#fail(malformed("too-many-interim-responses"), "unusable");
  }

  #onHead(raw: string[]): void {
    if (this.#isOver) return;
    const [, status, ...fields] = raw;
    const fault = headFault(fields, this.#parts.responseHead);
    if (fault !== undefined) {
      this.#fail(malformed(fault));
      return;
    }
    this.rawHeaders = fields;
    this.#arm(this.#hasResponse ? this.#parts.timeouts.idleMs : this.#parts.timeouts.responseHeadersMs);
    this.#handler.onResponseStart?.(this, Number(status), {});
  }

  #sendBody(stream: ClientHttp2Stream, body: NonNullable<UpstreamRequest["body"]>): void {
    const { trailers } = this.#request;
    body.on("error", (error) => this.abort(error));
    body.on("data", () => {
      if (this.#hasResponse) this.#arm(this.#parts.timeouts.idleMs);
    });
    // Before the request has ended, Forward watches the client's idle time instead.
    body.on("end", () => {
      if (!this.#hasResponse && !this.#isOver) this.#arm(this.#parts.timeouts.responseHeadersMs);
    });
    if (trailers !== undefined) {
      stream.once("wantTrailers", () => this.#call(() => stream.sendTrailers(trailerFields(trailers()))));
    }
    body.pipe(stream);
  }

  #arm(ms: number): void {
    this.#isDue = false;
    if (this.#isOver || this.paused) return;
    if (this.#timer !== undefined && this.#timerMs === ms) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#timerMs = ms;
    this.#timer = setTimeout(() => this.#onTimer(), ms);
  }

  #disarm(): void {
    this.#isDue = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** After a stall of the process, what arrived in time is handled first: node runs timers before events. */
  #onTimer(): void {
    this.#isDue = true;
    setImmediate(() => this.#isDue && this.#onTimeout());
  }

  #onTimeout(): void {
    this.#fail(new PerchError("upstream-timeout"), "unusable");
  }

  #complete(): void {
    if (this.#isOver) return;
    this.#end("ended");
    this.#handler.onResponseEnd?.(this, {});
  }

  /** As in undici, an exception of the handler aborts the request. */
  #call(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.abort(error as Error);
    }
  }

  #fail(error: Error, how: StreamEnd = "ended"): void {
    if (this.#isOver) return;
    this.#end(how);
    this.#handler.onResponseError?.(this, error);
  }

  #end(how: StreamEnd): void {
    this.#isOver = true;
    this.#disarm();
    this.#cancel();
    this.#request.body?.destroy();
    this.#parts.ended(how);
  }

  /**
   * Resets the stream if it is still open. Not by `close` while the request body is incomplete: it sends END_STREAM
   * before the reset, so a truncated body would look complete.
   */
  #cancel(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed || stream.destroyed) return;
    if (!stream.writableEnded) this.#aborter?.abort();
    else if (!this.#isComplete) stream.close(constants.NGHTTP2_CANCEL);
  }

  #failure({ id, rstCode }: ClientHttp2Stream): PerchError {
    const refused = rstCode === constants.NGHTTP2_REFUSED_STREAM || !this.#parts.mayBeProcessed(id);
    if (refused && !this.#hasResponse) return new PerchError("upstream-refused");
    // Node resets a stream whose head is over the limits of its session, which are above those of the service.
    const isOverLimit = rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM && !this.#hasResponse;
    if (isOverLimit || this.#hasLongHead) return malformed("head-too-large");
    return violations.has(rstCode) ? malformed("protocol-error") : new PerchError("upstream-reset");
  }
}

/** Why a head is not forwarded. Its session allows more than the limits, so that this is said of most. */
function headFault(
  fields: readonly string[],
  limits: ResponseHeadLimits,
): ErrorCause<"upstream-malformed"> | undefined {
  if (hasBlankEdges(fields)) return "invalid-header-value";
  if (fields.length > 2 * limits.fields) return "too-many-headers";
  return fieldBytes(fields) > limits.bytes ? "head-too-large" : undefined;
}

/** nghttp2 ends the connection: a head of more than about 128 KiB after compression. */
const tooManyFrames = /too many CONTINUATION frames/i;

const violations: ReadonlySet<number | undefined> = new Set([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
]);

/**
 * node:http2 ends a response that the endpoint reset with NO_ERROR like a complete one. The difference: the stream is
 * already closed when its end is pushed.
 */
function onWholeBody(stream: ClientHttp2Stream, complete: () => void): void {
  const push = stream.push.bind(stream);
  stream.push = (chunk, encoding) => {
    if (chunk === null && !stream.closed) complete();
    return push(chunk, encoding);
  };
}
