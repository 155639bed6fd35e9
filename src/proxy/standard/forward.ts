import type { Dispatcher } from "undici";
import { type ErrorCode, PerchError } from "../../errors.ts";
import { grpcStatusOfError, grpcStatusOfHttp, judgedStatus, readGrpcStatus } from "../../http/grpc-status.ts";
import { maxResponseFields, skipBlanksBack } from "../../http/header-fields.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { type AttemptFailure, isAttemptFailure, isResourceExhaustion } from "../attempt-failure.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import { ForwardState, type ForwardTransport } from "../forward-state.ts";
import type { Mirroring } from "../mirror.ts";
import { attemptFields, copyFields, requestTrailers, upstreamHeaders, upstreamTarget } from "../request-headers.ts";
import { earlyHintLinks, responseHeaders, responseTrailers } from "../response-headers.ts";
import type { BodyState } from "../retry-policy.ts";
import { type ClientSide, sendLocalReply } from "./client.ts";
import type { Answering } from "./connection.ts";
import { KeptBody, RequestBody } from "./request-body.ts";
import type { ReceivedHead } from "./request-head.ts";
import type { UpstreamPools } from "./upstream-pool.ts";

/** What forwarding needs beside the exchange: fixed for the life of the server. */
export interface ForwardContext {
  readonly pools: UpstreamPools;
  readonly streamed: (bytes: number) => void;
  readonly defect: (error: unknown) => void;
  readonly monotonicMs: () => number;
}

/** One request to be forwarded. */
export interface ForwardParts {
  readonly exchange: Exchange;
  readonly attempts: Attempts;
  readonly head: ReceivedHead;
  readonly client: ClientSide;
  readonly expectsContinue: boolean;
}

/**
 * Forwards one exchange through undici and answers the client, streaming both ways; the last two stages of the chain.
 *
 * It is the handler of its own attempts: undici calls `onRequestStart` once the request is given to a connection, so an
 * error before that means that nothing was sent. The exchange ends when the client's response closes, whoever closed it.
 */
export class Forward implements Dispatcher.DispatchHandler, Answering, ForwardTransport {
  readonly #context: ForwardContext;
  readonly #exchange: Exchange;
  readonly #attempts: Attempts;
  readonly #client: ClientSide;
  readonly #head: ReceivedHead;
  readonly #headers: string[];
  readonly #state: ForwardState;
  #expectsContinue: boolean;
  #controller: Dispatcher.DispatchController | undefined;
  /** Of the attempt that was given up last, which may yet report its end. */
  #abandoned: Dispatcher.DispatchController | undefined;
  #body: RequestBody | null = null;
  readonly #kept: KeptBody | undefined;
  /** Where to send the request instead of passing on the response that is coming in. */
  #another: Endpoint | undefined;
  /** Since when the attempt has brought interim answers, and no other. */
  #interimSinceMs: number | undefined;
  /** Body bytes still to come by the response's Content-Length; undefined where it does not say. */
  #remaining: number | undefined;
  #watching = false;

  constructor(context: ForwardContext, parts: ForwardParts) {
    this.#context = context;
    this.#exchange = parts.exchange;
    this.#attempts = parts.attempts;
    this.#head = parts.head;
    this.#client = parts.client;
    this.#expectsContinue = parts.expectsContinue;
    this.#headers = upstreamHeaders(parts.exchange, parts.head.rawHeaders, parts.head.version);
    // Of all that `TE` may say, only this concerns the next hop's own connection, and gRPC servers insist on it.
    if (this.#speaksHttp2 && asksForTrailers(parts.head)) this.#headers.push("te", "trailers");
    this.#state = new ForwardState(parts.exchange, parts.attempts, this, context.defect);
    const { keptBodyBytes } = parts.attempts;
    this.#kept = parts.head.hasBody && keptBodyBytes > 0 ? new KeptBody(keptBodyBytes) : undefined;
  }

  get #speaksHttp2(): boolean {
    return this.#exchange.route?.service?.protocol === "http2";
  }

  /** Asked for once the body has ended. */
  #trailers(): (() => readonly (readonly [string, string])[]) | undefined {
    const { trailers } = this.#client;
    const rules = this.#exchange.snapshot.requestHeaders;
    return trailers && (() => requestTrailers(rules, trailers()));
  }

  start(): this {
    this.#state.start(this.#exchange.route?.timeouts.totalMs ?? 0);
    this.#state.begin();
    return this;
  }

  readonly isReady = true;

  get bodyState(): BodyState {
    const isReplayable = this.#body === null || this.#body.untouched || this.#kept?.isWhole === true;
    return isReplayable ? "replayable" : "consumed";
  }

  get awaitsBody(): boolean {
    return this.#head.hasBody && !this.#client.requestComplete;
  }

  get clientIsBehind(): boolean {
    return this.#client.isBehind;
  }

  queued(): void {}

  send(endpoint: Endpoint): void {
    const { service, timeouts } = this.#exchange.route ?? {};
    if (service === undefined || timeouts === undefined)
      throw new TypeError("An exchange without a route was forwarded.");
    this.#interimSinceMs = undefined;
    this.#controller = undefined;
    if (this.#head.hasBody) {
      this.#body?.destroy();
      this.#body = new RequestBody(this.#client.body, this.#exchange.bodyBytes, this.#onReceived, this.#kept);
      this.#watchClient();
    }
    const request = {
      method: this.#head.method,
      path: upstreamTarget(this.#exchange),
      headers: attemptFields(this.#exchange, this.#headers),
      body: this.#body,
      servername: endpoint.address.host,
      headersTimeout: timeouts.responseHeadersMs,
      bodyTimeout: timeouts.idleMs,
      trailers: this.#trailers(),
    };
    this.#context.pools.get(endpoint, service).dispatch(request, this);
    // A reload took the endpoint out while this request was between attempts: its new pool ends with the request.
    if (endpoint.retired) this.#context.pools.retire(endpoint);
  }

  /**
   * The client's bytes stopped being HTTP. Where they were this request's body, the request is broken; where they came
   * after it, the answer that is due still goes out, and the connection ends with it.
   */
  clientFailed(code: ErrorCode): void {
    this.#client.closeBehindAnswer();
    if (!this.#client.requestComplete) this.#state.abort(code);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#state.phase !== "connecting") {
      controller.abort(new PerchError("client-closed"));
      return;
    }
    this.#state.phase = "sent";
    if (this.#exchange.route?.mirroring !== undefined) this.#mirror(this.#exchange.route.mirroring);
    if (this.#expectsContinue && this.#body !== null) {
      this.#expectsContinue = false;
      this.#client.sendContinue();
    }
  }

  #mirror({ version }: Mirroring): void {
    const { method, hasBody, contentLength } = this.#head;
    const mirror = this.#exchange.mirror(() => ({
      method,
      target: upstreamTarget(this.#exchange),
      headersFor: (endpoint) => copyFields(this.#exchange, this.#headers, version, endpoint),
      body: hasBody ? (contentLength ?? "chunked") : "none",
    }));
    if (mirror !== undefined) this.#body?.copyTo(mirror);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (status < 200) {
      this.#passInformation(status, controller);
      return;
    }
    const raw = decode(controller.rawHeaders);
    const coding = fieldLines(raw, "transfer-encoding");
    if ((coding !== undefined && coding.toLowerCase() !== "chunked") || raw.length > 2 * maxResponseFields) {
      // Transfer-Encoding is hop-by-hop: without it, a coding other than chunked would be taken for the content.
      controller.abort(new PerchError("upstream-malformed"));
      return;
    }
    this.#another = this.#state.retryInsteadOf(status);
    if (this.#another !== undefined) {
      // An answer that came whole ends before this; its connection is then kept.
      process.nextTick(() => this.#another && controller.abort(new PerchError("upstream-reset")));
      return;
    }
    this.#kept?.release();
    const bodiless = this.#head.method === "HEAD" || status === 204 || status === 304;
    const trailing = !bodiless && this.#client.knowsInterim && (coding !== undefined || this.#speaksHttp2);
    const headers = responseHeaders(this.#exchange, raw, trailing ? "trailers may follow" : "no trailers");
    const length = bodiless || trailing ? undefined : fieldValue(headers, "content-length");
    this.#client.sendHead(status, statusMessage, headers, trailing ? "may follow" : "none");
    this.#noteGrpcStatus(headers);
    const { grpcStatus } = this.#exchange;
    const isUnderWay = this.#client.dialect === "grpc" && grpcStatus === undefined && status === 200;
    this.#state.responseStarted(judgedStatus(status, grpcStatus), isUnderWay ? "to be judged" : "judged");
    this.#remaining = length === undefined ? undefined : Number(length);
    // A body that came along with its head leaves in the same write.
    process.nextTick(flushHead, this.#client);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#another !== undefined) return;
    this.#exchange.bytesSent += chunk.length;
    this.#context.streamed(chunk.length);
    if (this.#remaining !== undefined) {
      this.#remaining -= chunk.length;
      if (this.#remaining === 0) {
        // The last byte that the head promised: ending here lets head and a small body leave in one write.
        this.#finish(chunk);
        return;
      }
    }
    if (this.#client.send(chunk)) return;
    controller.pause();
    this.#watchClient();
    this.#client.onceDrained(() => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#sendAnother() || this.#client.ended) return;
    const trailers = responseTrailers(decode(controller.rawTrailers));
    this.#noteGrpcStatus(trailers.flat());
    const { grpcStatus } = this.#exchange;
    if (grpcStatus !== undefined) this.#attempts.judged(judgedStatus(this.#client.status, grpcStatus));
    this.#finish(undefined, trailers);
  }

  /** The answer that was to be discarded is out of the way. */
  #sendAnother(): boolean {
    const another = this.#another;
    this.#another = undefined;
    if (another === undefined) return false;
    this.#state.sendTo(another);
    return true;
  }

  /** The last bytes. A client that does not take them holds the connection no longer than the idle timeout. */
  #finish(chunk: Buffer | undefined, trailers?: readonly [string, string][]): void {
    this.#state.phase = "ended";
    this.#client.end(chunk, trailers);
    if (this.#client.isBehind) this.#watchClient();
  }

  onResponseError(controller: Dispatcher.DispatchController | undefined, error: Error): void {
    // An upstream may break after the last byte, for the response is whole; or the attempt was given up.
    if (this.#state.phase === "ended" || (controller !== undefined && controller === this.#abandoned)) return;
    if (this.#sendAnother()) return;
    this.#controller = undefined;
    const ours = unsendable.has(codeOf(error)) ? "bad-request" : error instanceof PerchError ? error.code : undefined;
    const isSent = this.#state.phase !== "connecting";
    if (ours !== undefined && !isAttemptFailure(ours)) this.#state.abort(ours);
    else if (!isSent && isResourceExhaustion(error)) this.#state.resourcesExhausted();
    else this.#state.attemptFailed(failureOf(error, isSent), error);
  }

  abandonAttempt(): void {
    this.#abandoned = this.#controller;
    this.#controller = undefined;
    this.#another = undefined;
    this.#abandoned?.abort(new PerchError("client-closed"));
  }

  cut(): void {
    this.#client.cut();
  }

  reply(code: ErrorCode): void {
    this.#releaseBody();
    sendLocalReply(this.#exchange, code, this.#client);
  }

  /** What was kept back for a further attempt is nobody's now, but the client's next request comes behind it. */
  #releaseBody(): void {
    if (this.#kept === undefined) return;
    this.#kept.release();
    this.#client.body.resume();
  }

  /** 103 with its links and 102 are passed on; other interim answers mean nothing to a client that did not ask. */
  #passInformation(status: number, controller: Dispatcher.DispatchController): void {
    if (status < 100) {
      controller.abort(new PerchError("upstream-malformed"));
      return;
    }
    // Each begins the time for an answer anew: without end, they would hold the request for ever.
    const nowMs = this.#context.monotonicMs();
    this.#interimSinceMs ??= nowMs;
    if (nowMs - this.#interimSinceMs > (this.#exchange.route?.timeouts.responseHeadersMs ?? 0)) {
      controller.abort(new PerchError("upstream-timeout"));
      return;
    }
    if (!this.#client.knowsInterim) return;
    if (status === 102) this.#client.sendProcessing();
    if (status !== 103) return;
    const links = earlyHintLinks(decode(controller.rawHeaders));
    if (links.length > 0) this.#client.sendEarlyHints(links);
  }

  /** The client's response closed, whoever closed it: the one end of the exchange. */
  closed(): void {
    const end = this.#client.finished ? "complete" : "incomplete";
    if (end === "incomplete") this.abandonAttempt();
    if (this.#client.dialect === "grpc") this.#exchange.grpcStatus ??= this.#grpcEnd(this.#state.endError(end));
    this.#state.end(end, this.#client.status);
  }

  #noteGrpcStatus(fields: readonly string[]): void {
    const said = this.#client.dialect === "grpc" ? fieldValue(fields, "grpc-status") : undefined;
    if (said !== undefined) this.#exchange.grpcStatus = readGrpcStatus(said);
  }

  /** What a client takes a call for that ended without a word of its status. */
  #grpcEnd(error: ErrorCode | undefined): number {
    return error === undefined ? grpcStatusOfHttp(this.#client.status) : grpcStatusOfError(error);
  }

  readonly #onReceived = (bytes: number): void => {
    this.#exchange.bytesReceived += bytes;
    this.#context.streamed(bytes);
  };

  /** From the first wait for the client on, its silence is bounded; requests without one never set a timer. */
  #watchClient(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#armIdleTimer();
  }

  #armIdleTimer(): void {
    this.#client.watchSilence(this.#exchange.route?.timeouts.idleMs ?? 0, this.#onIdle);
  }

  /** The client's connection was silent for the idle timeout: its fault only where it is the client's turn. */
  readonly #onIdle = (): void => {
    const { phase } = this.#state;
    const isSent = phase === "sent" || phase === "responding";
    if (phase === "ended" || this.#client.isBehind) this.#state.clientStalled();
    else if (isSent && this.awaitsBody && !this.#client.body.isPaused()) this.#state.abort("request-timeout");
    else this.#armIdleTimer();
  };
}

function flushHead(client: ClientSide): void {
  client.flushHead();
}

function asksForTrailers(head: ReceivedHead): boolean {
  return head.headerLines("te").some((line) => /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(line));
}

/** undici's raw header list as Latin-1 strings. Its parser keeps the whitespace at a value's end, which is no part of it. */
function decode(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  const texts: string[] = [];
  for (const part of raw) {
    const text = typeof part === "string" ? part : part.toString("latin1");
    texts.push(text.slice(0, skipBlanksBack(text, text.length)));
  }
  return texts;
}

/** The first field of this lower-case name in a flat list. */
function fieldValue(headers: readonly string[], lowerCaseName: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name?.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName) return headers[i + 1];
  }
  return undefined;
}

/** All lines of a field, joined as one list (RFC 9110 §5.3). */
function fieldLines(headers: readonly string[], lowerCaseName: string): string | undefined {
  const first = fieldValue(headers, lowerCaseName);
  if (first === undefined) return undefined;
  const lines = headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === lowerCaseName);
  return lines.join(", ");
}

function codeOf(error: Error & { code?: unknown }): unknown {
  return error.code;
}

export function failureOf(error: Error, sent: boolean): AttemptFailure {
  if (error instanceof PerchError && isAttemptFailure(error.code)) return error.code;
  const code = codeOf(error);
  if (code === "UND_ERR_CONNECT_TIMEOUT" || (code === "ETIMEDOUT" && !sent)) return "connect-timeout";
  if (!sent) return "connect-failed";
  // With TLS 1.3 an endpoint judges our certificate after we began to send, and has read nothing of it yet.
  if (/^ERR_SSL_.*ALERT_.*(?:CERTIFICATE|UNKNOWN_CA)/.test(String(code))) return "tls-failed";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") return "upstream-timeout";
  // ERR_…: node refused to write the head on; whatever is wrong with it, asking again would bring it again.
  if (error.name === "HTTPParserError" || malformed.has(code) || String(code).startsWith("ERR_"))
    return "upstream-malformed";
  // undici gives an unasked 100 or 101 the code of any broken socket; only its text tells them apart.
  if (code === "UND_ERR_SOCKET" && error.message.startsWith("bad ")) return "upstream-malformed";
  return "upstream-reset";
}

/**
 * What undici refuses to write is the client's doing, not the endpoint's: it must not count as an endpoint that refused,
 * or one odd request would take it out of service.
 */
const unsendable: ReadonlySet<unknown> = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"]);

const malformed: ReadonlySet<unknown> = new Set(["UND_ERR_HEADERS_OVERFLOW", "UND_ERR_RES_CONTENT_LENGTH_MISMATCH"]);
