import type { Dispatcher } from "undici";
import { type ErrorCode, PerchError } from "../../errors.ts";
import { grpcStatusOfError, grpcStatusOfHttp, judgedStatus, readGrpcStatus } from "../../http/grpc-status.ts";
import { skipBlanksBack } from "../../http/header-fields.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { causeOf, isAttemptFailure, isResourceExhaustion, malformed } from "../attempt-failure.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import { ForwardState, type ForwardTransport } from "../forward-state.ts";
import type { Refusal } from "../local-reply.ts";
import type { Mirroring } from "../mirror.ts";
import { attemptFields, copyFields, requestTrailers, upstreamHeaders, upstreamTarget } from "../request-headers.ts";
import { earlyHintLinks, isBodiless, responseHeaders, responseTrailers } from "../response-headers.ts";
import type { BodyState } from "../retry-policy.ts";
import { type ClientSide, sendLocalReply } from "./client.ts";
import type { ActiveRequest } from "./connection.ts";
import { KeptBody, RequestBody } from "./request-body.ts";
import type { ReceivedHead } from "./request-head.ts";
import { SmallChunks } from "./small-chunks.ts";
import { codeOf, failureOf, unsendable } from "./undici-errors.ts";
import type { UpstreamPools } from "./upstream-pool.ts";

/** What forwarding needs for all requests, fixed for the life of the server. */
export interface ForwardContext {
  readonly pools: UpstreamPools;
  readonly streamed: (bytes: number) => void;
  readonly defect: (error: unknown) => void;
  readonly monotonicMs: () => number;
}

/** One request to forward. */
export interface ForwardParts {
  readonly exchange: Exchange;
  readonly attempts: Attempts;
  readonly head: ReceivedHead;
  readonly client: ClientSide;
  readonly expectsContinue: boolean;
}

/**
 * Forwards one exchange and streams the response to the client: the last two stages of the chain.
 *
 * Handles the events of its own attempts. undici calls `onRequestStart` when it assigns the request to a connection, so
 * nothing was sent if an error precedes it. The exchange ends when the response to the client closes, for any reason.
 */
export class Forward implements Dispatcher.DispatchHandler, ActiveRequest, ForwardTransport {
  readonly isReady = true;
  readonly #context: ForwardContext;
  readonly #exchange: Exchange;
  readonly #attempts: Attempts;
  readonly #client: ClientSide;
  readonly #head: ReceivedHead;
  readonly #headers: string[];
  readonly #state: ForwardState;
  #expectsContinue: boolean;
  #controller: Dispatcher.DispatchController | undefined;
  /** Of the attempt abandoned last, which may still report its end. */
  #abandoned: Dispatcher.DispatchController | undefined;
  #body: RequestBody | null = null;
  readonly #kept: KeptBody | undefined;
  /** The endpoint to retry on. The current response is discarded. */
  #retryOn: Endpoint | undefined;
  /** When the first interim response of this attempt arrived. */
  #interimSinceMs: number | undefined;
  /** Bytes of the response body still expected; undefined without Content-Length. */
  #remaining: number | undefined;
  readonly #chunks = new SmallChunks((chunk) => this.#pass(chunk));
  #isWatching = false;

  constructor(context: ForwardContext, parts: ForwardParts) {
    this.#context = context;
    this.#exchange = parts.exchange;
    this.#attempts = parts.attempts;
    this.#head = parts.head;
    this.#client = parts.client;
    this.#expectsContinue = parts.expectsContinue;
    this.#headers = upstreamHeaders(parts.exchange, parts.head.rawHeaders, parts.head.version);
    // TE is hop-by-hop, but gRPC servers require `trailers` (RFC 9113 §8.2.2 allows this value).
    if (this.#isHttp2Upstream && asksForTrailers(parts.head)) this.#headers.push("te", "trailers");
    this.#state = new ForwardState(this, context.defect);
    this.#state.restart(parts.exchange, parts.attempts);
    const { keptBodyBytes } = parts.attempts;
    this.#kept = parts.head.hasBody && keptBodyBytes > 0 ? new KeptBody(keptBodyBytes) : undefined;
  }

  start(): this {
    this.#state.start(this.#exchange.route?.timeouts.totalMs ?? 0);
    this.#state.begin();
    return this;
  }

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
    // A reload removed the endpoint between two attempts. Its new pool must close with this request.
    if (endpoint.retired) this.#context.pools.retire(endpoint);
  }

  #trailers(): (() => readonly (readonly [string, string])[]) | undefined {
    const { trailers } = this.#client;
    const rules = this.#exchange.snapshot.requestHeaders;
    return trailers && (() => requestTrailers(rules, trailers()));
  }

  get #isHttp2Upstream(): boolean {
    return this.#exchange.route?.service?.protocol === "http2";
  }

  /**
   * Invalid bytes within the body abort the request. After the body, the response is still sent, and then the
   * connection closes.
   */
  clientFailed({ error, cause }: Refusal): void {
    this.#client.closeAfterResponse();
    if (!this.#client.requestComplete) this.#state.abort(error, cause);
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
    if (mirror !== undefined) this.#body?.mirrorTo(mirror);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (status < 200) {
      this.#onInterimResponse(status, controller);
      return;
    }
    const raw = decode(controller.rawHeaders);
    this.#retryOn = this.#state.retryInsteadOf(status);
    if (this.#retryOn !== undefined) {
      // A response that arrived in one read ends before this tick, and its connection can be reused.
      process.nextTick(() => this.#retryOn && controller.abort(new PerchError("upstream-reset")));
      return;
    }
    this.#kept?.release();
    const hasBody = !isBodiless(status, this.#head.method);
    const mayTrail =
      hasBody &&
      this.#client.supportsInterim &&
      (this.#isHttp2Upstream || fieldValue(raw, "transfer-encoding") !== undefined);
    const headers = responseHeaders(this.#exchange, status, raw, mayTrail ? "trailers may follow" : "no trailers");
    const length = !hasBody || mayTrail ? undefined : fieldValue(headers, "content-length");
    this.#client.sendHead(status, statusMessage, headers, mayTrail ? "may follow" : "none");
    this.#noteGrpcStatus(headers);
    const { grpcStatus } = this.#exchange;
    const isPending = this.#client.dialect === "grpc" && grpcStatus === undefined && status === 200;
    this.#state.responseStarted(judgedStatus(status, grpcStatus), isPending ? "to be judged" : "judged");
    this.#remaining = length === undefined ? undefined : Number(length);
    // Next tick, so that a body from the same read is sent in the same write.
    process.nextTick(flushHead, this.#client, this.#chunks);
  }

  /** Forwards 102, and 103 with its links. Other interim responses are dropped. */
  #onInterimResponse(status: number, controller: Dispatcher.DispatchController): void {
    if (status < 100) {
      controller.abort(malformed("invalid-status"));
      return;
    }
    // Each one restarts undici's timeout for the response head, so their total time is limited here.
    const nowMs = this.#context.monotonicMs();
    this.#interimSinceMs ??= nowMs;
    if (nowMs - this.#interimSinceMs > (this.#exchange.route?.timeouts.responseHeadersMs ?? 0)) {
      controller.abort(new PerchError("upstream-timeout"));
      return;
    }
    if (!this.#client.supportsInterim) return;
    if (status === 102) this.#client.sendProcessing();
    if (status !== 103) return;
    const links = earlyHintLinks(decode(controller.rawHeaders));
    if (links.length > 0) this.#client.sendEarlyHints(links);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#retryOn !== undefined) return;
    this.#exchange.bytesSent += chunk.length;
    this.#context.streamed(chunk.length);
    if (this.#remaining !== undefined) {
      this.#remaining -= chunk.length;
      if (this.#remaining === 0) {
        // Ending here, not in `onResponseEnd`, sends the head and a small body in one write.
        this.#finish(chunk);
        return;
      }
    }
    this.#chunks.add(chunk);
  }

  #pass(chunk: Buffer): void {
    const controller = this.#controller;
    if (this.#client.send(chunk) || controller === undefined) return;
    controller.pause();
    this.#watchClient();
    this.#client.onceDrained(() => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#retry() || this.#client.ended) return;
    const trailers = responseTrailers(decode(controller.rawTrailers));
    this.#noteGrpcStatus(trailers.flat());
    const { grpcStatus } = this.#exchange;
    if (grpcStatus !== undefined) this.#attempts.judged(judgedStatus(this.#client.status, grpcStatus));
    this.#finish(undefined, trailers);
  }

  /** Retries if the response was to be discarded. */
  #retry(): boolean {
    const endpoint = this.#retryOn;
    this.#retryOn = undefined;
    if (endpoint === undefined) return false;
    this.#state.sendTo(endpoint);
    return true;
  }

  /** Sends the last bytes. The idle timeout limits a client that does not read them. */
  #finish(chunk: Buffer | undefined, trailers?: readonly [string, string][]): void {
    this.#chunks.flush();
    this.#state.phase = "ended";
    this.#client.end(chunk, trailers);
    if (this.#client.isBehind) this.#watchClient();
  }

  #noteGrpcStatus(fields: readonly string[]): void {
    const value = this.#client.dialect === "grpc" ? fieldValue(fields, "grpc-status") : undefined;
    if (value !== undefined) this.#exchange.grpcStatus = readGrpcStatus(value);
  }

  onResponseError(controller: Dispatcher.DispatchController | undefined, error: Error): void {
    // Ignores errors after a complete response, and those of an abandoned attempt.
    if (this.#state.phase === "ended" || (controller !== undefined && controller === this.#abandoned)) return;
    if (this.#retry()) return;
    this.#controller = undefined;
    const isUnsendable = unsendable.has(codeOf(error));
    const local = isUnsendable ? "bad-request" : error instanceof PerchError ? error.code : undefined;
    const isSent = this.#state.phase !== "connecting";
    if (local !== undefined && !isAttemptFailure(local)) {
      this.#state.abort(local, isUnsendable ? "unsendable-header" : causeOf(error));
    } else if (!isSent && isResourceExhaustion(error)) this.#state.resourcesExhausted();
    else this.#state.attemptFailed(failureOf(error, isSent), error);
  }

  abandonAttempt(): void {
    this.#abandoned = this.#controller;
    this.#controller = undefined;
    this.#retryOn = undefined;
    this.#abandoned?.abort(new PerchError("client-closed"));
  }

  cut(): void {
    this.#chunks.flush();
    this.#client.abort();
  }

  reply(refusal: Refusal): void {
    this.#releaseBody();
    sendLocalReply(this.#exchange, refusal, this.#client);
  }

  /** Drains the body that was paused for a further attempt: the client's next request follows it. */
  #releaseBody(): void {
    if (this.#kept === undefined) return;
    this.#kept.release();
    this.#client.body.resume();
  }

  /** The only place where the exchange ends. */
  closed(): void {
    const end = this.#client.finished ? "complete" : "incomplete";
    if (end === "incomplete") this.abandonAttempt();
    if (this.#client.dialect === "grpc")
      this.#exchange.grpcStatus ??= this.#impliedGrpcStatus(this.#state.endError(end));
    this.#state.end(end, this.#client.status);
  }

  /** The status that a gRPC client derives if there is no `grpc-status`. */
  #impliedGrpcStatus(error: ErrorCode | undefined): number {
    return error === undefined ? grpcStatusOfHttp(this.#client.status) : grpcStatusOfError(error);
  }

  readonly #onReceived = (bytes: number): void => {
    this.#exchange.bytesReceived += bytes;
    this.#context.streamed(bytes);
  };

  /** Starts the idle timeout when the request first waits for the client. Most requests never need the timer. */
  #watchClient(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#armIdleTimer();
  }

  #armIdleTimer(): void {
    this.#client.watchIdle(this.#exchange.route?.timeouts.idleMs ?? 0, this.#onIdle);
  }

  /** The client's connection was idle: an error only if the request is waiting for the client. */
  readonly #onIdle = (): void => {
    const { phase } = this.#state;
    const isSent = phase === "sent" || phase === "responding";
    if (phase === "ended" || this.#client.isBehind) this.#state.clientStalled();
    else if (isSent && this.awaitsBody && !this.#client.body.isPaused()) this.#state.abort("request-timeout");
    else this.#armIdleTimer();
  };
}

function flushHead(client: ClientSide, chunks: SmallChunks): void {
  chunks.flush();
  client.flushHead();
}

function asksForTrailers(head: ReceivedHead): boolean {
  return head.headerLines("te").some((line) => /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(line));
}

/** undici's raw headers as Latin-1 strings, without the trailing whitespace that its parser keeps. */
function decode(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  const texts: string[] = [];
  for (const part of raw) {
    const text = typeof part === "string" ? part : part.toString("latin1");
    texts.push(text.slice(0, skipBlanksBack(text, text.length)));
  }
  return texts;
}

/** The value of the first field with this lower-case name in a flat list. */
function fieldValue(headers: readonly string[], lowerCaseName: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name?.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName) return headers[i + 1];
  }
  return undefined;
}
