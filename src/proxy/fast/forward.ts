import type { Endpoint } from "../../upstream/endpoint.ts";
import { defaultResponseHead, type ResponseHeadLimits, type Timeouts } from "../../upstream/service-spec.ts";
import type { AttemptFailure } from "../attempt-failure.ts";
import type { Exchange } from "../exchange.ts";
import { ForwardState, type ForwardTransport } from "../forward-state.ts";
import { type BodyParser, nowhere } from "../http1/body-parser.ts";
import { PartialHead } from "../http1/header-scanner.ts";
import { InterimRelay } from "../http1/interim-relay.ts";
import type { Refusal } from "../local-reply.ts";
import type { BodyState } from "../retry-policy.ts";
import type { ActiveRequest, ClientSide, FastContext, RecordInUse } from "./fast-context.ts";
import type { ConnectionLines } from "./forwarded-lines.ts";
import { writeLocalReply } from "./local-reply.ts";
import { endOfWhole, type ResponseRelay } from "./response-writer.ts";
import type { UpstreamConnection, UpstreamUser } from "./upstream-pool.ts";
import { UpstreamRequest } from "./upstream-request.ts";

/**
 * Forwards one exchange over raw sockets and relays the response, streaming both ways; the last two stages of the
 * chain.
 *
 * Three things run concurrently: the request's body to the upstream, the response to the client, and the flush of the
 * client's connection. The exchange ends once the last byte of the response was written, or the client has
 * disconnected.
 */
export class Forward implements ActiveRequest, UpstreamUser, ForwardTransport {
  exchange!: Exchange;
  readonly #context: FastContext;
  readonly #record: RecordInUse;
  #client!: ClientSide;
  #timeouts!: Timeouts;
  readonly #request: UpstreamRequest;
  readonly #state: ForwardState;
  /** Whether an idle connection may be used. */
  #mayReuse = true;
  #connection: UpstreamConnection | undefined;
  #partialHead: PartialHead | undefined;
  /** Undefined before the response's head. */
  #relay: ResponseRelay | undefined;
  #interim: InterimRelay | undefined;
  #status = 0;

  constructor(context: FastContext, record: RecordInUse) {
    this.#context = context;
    this.#record = record;
    this.#request = new UpstreamRequest(context.requests);
    this.#state = new ForwardState(this, context.context.defect);
  }

  /**
   * Makes it the forwarding of another request, of which nothing was sent yet. `body`: undefined if the request has none.
   */
  restart(exchange: Exchange, client: ClientSide, body: BodyParser | undefined, lines: ConnectionLines): void {
    const { attempts, route } = exchange;
    if (attempts === undefined || route === undefined)
      throw new TypeError("An exchange without a service was forwarded.");
    this.#client = client;
    this.exchange = exchange;
    this.#timeouts = route.timeouts;
    this.#request.restart(exchange, attempts, this.#record.head, body, lines);
    this.#state.restart(exchange, attempts);
    this.#mayReuse = true;
    this.#connection = undefined;
    this.#partialHead = undefined;
    this.#relay = undefined;
    this.#interim = undefined;
    this.#status = 0;
  }

  /** Starts, with the body bytes that followed the head. Returns the position where the next request starts. */
  start(bytes: Buffer, from: number, to: number): number {
    this.#state.start(this.#timeouts.totalMs, this.#context.deadlines.schedule);
    const { body } = this.#request;
    if (body === undefined) {
      if (this.#state.isHeld) this.#arm(0);
      else this.#state.begin();
      return from;
    }
    this.#arm(this.#timeouts.idleMs);
    return this.#gather(body, bytes, from, to);
  }

  #headLimits(): ResponseHeadLimits {
    return this.exchange.route?.service?.responseHead ?? defaultResponseHead;
  }

  get isReady(): boolean {
    return this.#request.mayBeSent;
  }

  get bodyState(): BodyState {
    return this.#isSent() && !this.#request.isKept ? "consumed" : "replayable";
  }

  get clientIsBehind(): boolean {
    return this.#client.writer.pending;
  }

  /** Whether the request's head was written on the current connection. */
  #isSent(): boolean {
    const { phase } = this.#state;
    return phase === "sent" || phase === "responding";
  }

  /** Whether further bytes from the client belong to this request. */
  get awaitsBody(): boolean {
    return this.#request.awaitsBody;
  }

  /** Takes body bytes. Returns the position where the next request starts. */
  onClientData(bytes: Buffer, from: number, to: number): number {
    const { body } = this.#request;
    if (body === undefined) return from;
    if (this.#state.phase === "ended") return body.read(bytes, from, to, nowhere);
    if (!this.#isSent() || this.#connection === undefined) return this.#gather(body, bytes, from, to);
    const { writer } = this.#connection;
    const end = this.#request.pass(body, bytes, from, to, writer);
    if (body.failure !== undefined) {
      this.#state.abort(body.failure, body.cause);
      return to;
    }
    writer.flush();
    if (body.complete) this.#bodySent();
    else {
      if (writer.pending) this.#client.pauseBody();
      this.#arm(writer.pending ? this.#timeouts.responseHeadersMs : this.#timeouts.idleMs);
    }
    return end;
  }

  /** All pending writes to the client have been handed to the kernel. */
  onClientFlushed(): void {
    if (this.#client.writer.pending) return;
    if (this.#state.phase === "ended") {
      this.#complete();
      return;
    }
    this.#connection?.resume();
    if (this.#state.phase === "responding") this.#arm(this.#timeouts.idleMs);
  }

  /** The client's connection is closed. */
  onClientGone(): void {
    this.#connection?.destroy();
    this.#state.end("incomplete", this.#status);
  }

  onDefect(error: unknown): void {
    this.#state.defect(error);
  }

  onDeadline(): void {
    this.#state.stepExceeded(this.#connection?.writer.pending === true);
  }

  onUpstreamConnected(): void {
    this.#send();
  }

  onUpstreamFlushed(): void {
    if (this.#state.phase === "ended" || !this.awaitsBody || this.#connection?.writer.pending) return;
    this.#client.resumeBody();
    this.#arm(this.#timeouts.idleMs);
  }

  onUpstreamData(bytes: Buffer, length: number): boolean {
    const connection = this.#connection;
    if (connection === undefined) return false;
    if (this.#state.phase === "sent") {
      if (connection.isPoisoned()) this.#attemptFailed("upstream-reset");
      else if (this.#partialHead === undefined) this.#readHeads(connection, bytes, 0, length);
      else if (this.#partialHead.append(bytes, 0, length) || this.#partialHead.length > this.#headLimits().bytes) {
        const { bytes: all, length: end } = this.#partialHead;
        this.#partialHead = undefined;
        this.#readHeads(connection, all, 0, end);
      }
    } else if (this.#relay !== undefined) this.#passOn(connection, this.#relay, bytes, 0, length);
    // A connection released meanwhile keeps reading, for its next request.
    return connection !== this.#connection || this.#state.phase === "ended" || !this.#client.writer.pending;
  }

  onUpstreamEnd(): void {
    this.#relay?.closed();
    const connection = this.#connection;
    if (connection !== undefined && this.#relay?.isComplete) this.#finish(connection, "ended");
    else this.#attemptFailed(this.#isSent() ? "upstream-reset" : "connect-failed");
  }

  onUpstreamClosed(): void {
    const isExhausted = this.#connection?.resourcesExhausted === true && !this.#isSent();
    const error = this.#connection?.error;
    this.#connection = undefined;
    if (isExhausted) this.#state.resourcesExhausted();
    else this.#attemptFailed(this.#isSent() ? "upstream-reset" : "connect-failed", error);
  }

  // ---- the request

  queued(): void {
    this.#arm(0);
  }

  send(endpoint: Endpoint): void {
    const { pools } = this.#context;
    const idle = this.#mayReuse ? pools.reuse(endpoint, this) : undefined;
    if (idle === undefined) {
      this.#arm(this.#timeouts.connectMs);
      this.#connection = pools.open(endpoint, this);
      return;
    }
    this.#connection = idle;
    if (!this.#state.isDeferred) idle.watchTick();
    this.#send();
  }

  #send(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#state.phase = "sent";
    this.#request.addOpening(connection.writer, connection.isLast ? "close" : "keep-alive");
    connection.writer.flush();
    if (connection.writer.broken) {
      // Nothing was sent, so no bytes that the connection still holds are a response to this request.
      this.#attemptFailed("upstream-reset");
      return;
    }
    this.#request.opened();
    if (!this.awaitsBody) {
      this.#bodySent();
      return;
    }
    this.#client.useOwnBuffer();
    this.#client.resumeBody();
    this.#arm(this.#timeouts.idleMs);
  }

  #bodySent(): void {
    if (this.#request.body !== undefined) {
      this.#client.useSharedBuffer(this.#connection?.writer.pending ? "pending" : "flushed");
    }
    if (this.#state.phase === "sent") this.#arm(this.#timeouts.responseHeadersMs);
  }

  /** Keeps body bytes while there is no connection. The first bytes start the request. */
  #gather(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = this.#request.gather(body, bytes, from, to);
    if (body.failure !== undefined) {
      this.#state.abort(body.failure, body.cause);
      return to;
    }
    const { isReady } = this;
    try {
      this.#state.begin();
    } finally {
      this.#request.settle();
    }
    // A local reply may have ended it.
    if (this.#state.phase === "ended") return end;
    if (isReady && !this.#isSent() && !body.complete) this.#client.pauseBody();
    if (isReady && this.#state.isHeld) this.#arm(0);
    return end;
  }

  // ---- the response

  /** Reads interim responses and the final one, as far as received. */
  #readHeads(connection: UpstreamConnection, bytes: Buffer, from: number, to: number): void {
    const { responses } = this.#context;
    for (let at = from; ; at = responses.end) {
      const outcome = at < to ? responses.read(bytes, at, to, this.#headLimits()) : "incomplete";
      if (outcome === "malformed") {
        this.#attemptFailed("upstream-malformed", responses.cause);
        return;
      }
      if (outcome === "incomplete") {
        if (at < to) this.#partialHead = new PartialHead(bytes, at, to);
        this.#client.writer.flush();
        return;
      }
      if (responses.status >= 200) {
        this.#beginResponse(connection, bytes, responses.end, to);
        return;
      }
      this.#interim ??= new InterimRelay(this.#client.writer);
      const fault = this.#interim.pass(responses);
      if (fault !== undefined) {
        this.#attemptFailed("upstream-malformed", fault);
        return;
      }
    }
  }

  #beginResponse(connection: UpstreamConnection, bytes: Buffer, from: number, to: number): void {
    const { responses, date } = this.#context;
    const { writer } = this.#client;
    const retryEndpoint = this.#state.retryInsteadOf(responses.status);
    if (retryEndpoint !== undefined) {
      this.#discard(connection, bytes, from, to);
      this.#state.sendTo(retryEndpoint);
      return;
    }
    const relay = this.#context.relays.take();
    relay.restart(this.exchange.head.method, responses);
    this.#relay = relay;
    this.#status = responses.status;
    this.#state.responseStarted(responses.status);
    if (relay.endsConnection) connection.endReuse();
    else connection.limitReuse(responses.keepAliveSeconds, responses.keepAliveRequests);
    relay.addHead(writer, this.exchange, responses, this.#client.connectionAfter("response"), date);
    this.#passOn(connection, relay, bytes, from, to);
  }

  /** Discards a response that is retried; keeps its connection if the response is already complete. */
  #discard(connection: UpstreamConnection, bytes: Buffer, from: number, to: number): void {
    const { responses, pools } = this.#context;
    const isSent = !this.awaitsBody && !connection.writer.pending;
    const end = isSent && this.exchange.head.method !== "HEAD" ? endOfWhole(responses, bytes, from, to) : undefined;
    this.#connection = undefined;
    if (end === undefined || responses.closing) {
      connection.destroy();
      return;
    }
    connection.limitReuse(responses.keepAliveSeconds, responses.keepAliveRequests);
    connection.leave("flushed");
    if (end === to) pools.release(connection);
    else connection.surplus();
  }

  /** Passes on the body bytes received. */
  #passOn(connection: UpstreamConnection, relay: ResponseRelay, bytes: Buffer, from: number, to: number): void {
    const { writer } = this.#client;
    const end = relay.pass(writer, bytes, from, to);
    this.exchange.bytesSent = relay.bytes;
    if (relay.failure !== undefined) {
      // Flush the valid part received so far, although the response will be cut short: the client may use it.
      writer.flush();
      this.#attemptFailed("upstream-malformed", relay.cause);
      return;
    }
    if (relay.isComplete) {
      this.#finish(connection, end === to ? "ended" : "surplus bytes");
      return;
    }
    writer.flush();
    connection.useOwnBuffer();
    this.#armStreaming();
  }

  /** The response is complete. Bytes after it are unsolicited, so their connection is not reused. */
  #finish(connection: UpstreamConnection, upstream: "ended" | "surplus bytes"): void {
    const { writer } = this.#client;
    this.#relay?.addEnd(writer);
    this.#state.phase = "ended";
    this.#connection = undefined;
    writer.flush();
    connection.leave(writer.pending ? "pending" : "flushed");
    if (upstream === "surplus bytes") connection.surplus();
    else if (this.awaitsBody || connection.writer.pending) connection.destroy();
    else this.#context.pools.release(connection);
    this.#allWritten();
  }

  /** The whole response is written; completes the exchange now, or once it is flushed. */
  #allWritten(): void {
    const { writer } = this.#client;
    if (writer.pending) this.#client.watchFlush(this.#timeouts.idleMs);
    else if (!writer.broken) this.#complete();
  }

  /** The last byte was flushed. */
  #complete(): void {
    this.#state.end("complete", this.#status);
    const isWhole = !this.#request.awaitsBody;
    this.#client.requestEnded(this.#request.body);
    // Last: the client's next request may have begun, and must not find the record in use.
    if (!isWhole || !this.exchange.mayRestart) return;
    if (this.#relay !== undefined) this.#context.relays.putBack(this.#relay);
    this.#relay = undefined;
    this.#request.release();
    this.#record.putBack();
  }

  // ---- failures

  #attemptFailed(failure: AttemptFailure, why?: Error | string): void {
    // If one idle connection was broken, the others probably are too.
    if (failure === "upstream-reset") this.#mayReuse = false;
    this.#state.attemptFailed(failure, why);
  }

  abandonAttempt(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#partialHead = undefined;
    this.#interim?.restart();
  }

  cut(): void {
    this.#client.destroy();
  }

  reply(refusal: Refusal): void {
    this.#status = writeLocalReply(this.#context, this.#client, this.exchange, refusal);
    this.#allWritten();
  }

  /** Times the side that is awaited: the client while writes are pending, else the upstream. */
  #armStreaming(): void {
    const { idleMs } = this.#timeouts;
    if (this.#client.writer.pending) this.#client.watchFlush(idleMs);
    else this.#arm(idleMs);
  }

  #arm(ms: number): void {
    this.#context.deadlines.arm(this.#client.deadline, ms);
  }
}
