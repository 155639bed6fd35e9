import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { Dispatcher } from "undici";
import { type ErrorCode, PerchError } from "../../errors.ts";
import type { Timeouts } from "../../upstream/service-spec.ts";
import { trailerFields } from "./http2-client.ts";
import type { UpstreamRequest } from "./transport.ts";

/** The connection that a stream is opened on. */
export interface StreamParts {
  readonly session: ClientHttp2Session;
  readonly scheme: string;
  /** The endpoint's own, for requests that name none. */
  readonly authority: string;
  readonly timeouts: Pick<Timeouts, "responseHeadersMs" | "idleMs">;
  /** Whether the endpoint may have looked at this stream, by what it said as it went away. */
  readonly wasSeen: (stream: number | undefined) => boolean;
  readonly ended: (how: "ended" | "timed out") => void;
}

/**
 * One request to an endpoint as a stream of an HTTP/2 connection. It tells its handler what undici would tell: the start,
 * heads, body and end, or one error.
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
  /** Only where a body may have to be broken off; see `#cancel`. */
  readonly #breaker: AbortController | undefined;
  #stream: ClientHttp2Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = 0;
  #answered = false;
  /** Whether the response's end came, and not just the stream's. */
  #isWhole = false;
  #isOver = false;

  constructor(request: UpstreamRequest, handler: Dispatcher.DispatchHandler, parts: StreamParts) {
    this.#request = request;
    this.#handler = handler;
    this.#parts = parts;
    this.#breaker = request.body === null ? undefined : new AbortController();
  }

  start(): void {
    const { body, trailers } = this.#request;
    this.#handler.onRequestStart?.(this, {});
    if (this.#isOver) return;
    try {
      const stream = this.#parts.session.request(this.#head(), {
        endStream: body === null,
        waitForTrailers: trailers !== undefined,
        ...(this.#breaker === undefined ? {} : { signal: this.#breaker.signal }),
      });
      this.#stream = stream;
      this.#listen(stream);
      if (body === null) this.#arm(this.#parts.timeouts.responseHeadersMs);
      else this.#sendBody(stream, body);
    } catch (error) {
      // The connection began to end in this very turn, or node will not write such a head.
      const ending = this.#parts.session.closed || this.#parts.session.destroyed;
      this.#fail(new PerchError(ending ? "upstream-refused" : "internal-error", error));
    }
  }

  abort(reason: Error): void {
    this.aborted = true;
    this.reason = reason;
    this.#fail(reason);
  }

  pause(): void {
    this.paused = true;
    // While the client is waited for, the endpoint may be silent.
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
    tellWholeBodies(stream, () => {
      this.#isWhole = true;
    });
    stream.on("headers", (_headers, _flags, raw) => this.#tell(() => this.#onHead(raw as unknown as string[])));
    stream.on("response", (_headers, flags, raw) => {
      this.#answered = true;
      this.#tell(() => this.#onHead(raw as unknown as string[]));
      // Told at once, so that an answer of nothing but a head is passed on as one.
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) === 0) return;
      this.#isWhole = true;
      this.#complete();
    });
    stream.on("trailers", (_trailers, _flags, raw) => {
      this.rawTrailers = raw as unknown as string[];
    });
    stream.on("data", (chunk: Buffer) => {
      if (this.#isOver) return;
      this.#arm(this.#parts.timeouts.idleMs);
      this.#tell(() => this.#handler.onResponseData?.(this, chunk));
    });
    stream.on("end", () => {
      if (this.#isWhole) this.#complete();
    });
    // Its meaning is in the code that it was closed with.
    stream.on("error", () => {});
    stream.on("close", () => this.#fail(new PerchError(this.#failure(stream))));
  }

  #onHead(raw: string[]): void {
    if (this.#isOver) return;
    const [, status, ...fields] = raw;
    this.rawHeaders = fields;
    this.#arm(this.#answered ? this.#parts.timeouts.idleMs : this.#parts.timeouts.responseHeadersMs);
    this.#handler.onResponseStart?.(this, Number(status), {});
  }

  #sendBody(stream: ClientHttp2Stream, body: NonNullable<UpstreamRequest["body"]>): void {
    const { trailers } = this.#request;
    body.on("error", (error) => this.abort(error));
    body.on("data", () => {
      if (this.#answered) this.#arm(this.#parts.timeouts.idleMs);
    });
    // Until the request has ended, whoever is silent is the client, and that is watched elsewhere.
    body.on("end", () => {
      if (!this.#answered && !this.#isOver) this.#arm(this.#parts.timeouts.responseHeadersMs);
    });
    if (trailers !== undefined) {
      stream.once("wantTrailers", () => this.#tell(() => stream.sendTrailers(trailerFields(trailers()))));
    }
    body.pipe(stream);
  }

  #arm(ms: number): void {
    if (this.#isOver || this.paused) return;
    if (this.#timer !== undefined && this.#timerMs === ms) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#timerMs = ms;
    this.#timer = setTimeout(() => this.#onTimeout(), ms);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #onTimeout(): void {
    this.#fail(new PerchError("upstream-timeout"), "timed out");
  }

  #complete(): void {
    if (this.#isOver) return;
    this.#end("ended");
    this.#handler.onResponseEnd?.(this, {});
  }

  /** What the handler throws at ends this request, as undici has it. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.abort(error as Error);
    }
  }

  #fail(error: Error, how: "ended" | "timed out" = "ended"): void {
    if (this.#isOver) return;
    this.#end(how);
    this.#handler.onResponseError?.(this, error);
  }

  #end(how: "ended" | "timed out"): void {
    this.#isOver = true;
    this.#disarm();
    this.#cancel();
    this.#request.body?.destroy();
    this.#parts.ended(how);
  }

  /**
   * What is left of the stream, either way, is not wanted. Where the body has not ended, not by `close`: that ends the
   * stream before it resets it, and a body that broke off would be taken for a whole one.
   */
  #cancel(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed || stream.destroyed) return;
    if (!stream.writableEnded) this.#breaker?.abort();
    else if (!this.#isWhole) stream.close(constants.NGHTTP2_CANCEL);
  }

  #failure({ id, rstCode }: ClientHttp2Stream): ErrorCode {
    const refused = rstCode === constants.NGHTTP2_REFUSED_STREAM || !this.#parts.wasSeen(id);
    if (refused && !this.#answered) return "upstream-refused";
    return malformed.has(rstCode) ? "upstream-malformed" : "upstream-reset";
  }
}

const malformed: ReadonlySet<number | undefined> = new Set([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
]);

/**
 * node:http2 ends the stream of a response that the endpoint reset without an error as it ends that of a whole one. What
 * tells them apart is whether the stream was closed already when its end was pushed.
 */
function tellWholeBodies(stream: ClientHttp2Stream, whole: () => void): void {
  const push = stream.push.bind(stream);
  stream.push = (chunk, encoding) => {
    if (chunk === null && !stream.closed) whole();
    return push(chunk, encoding);
  };
}
