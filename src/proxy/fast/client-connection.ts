import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Caller } from "../../http/request-head.ts";
import type { HandoverCause } from "../../observe/process-stats.ts";
import type { DownstreamInfo } from "../downstream.ts";
import { Exchange } from "../exchange.ts";
import { BodyParser } from "../http1/body-parser.ts";
import { incomplete, irregular, PartialHead } from "../http1/header-scanner.ts";
import { type LocalReply, localResponseText, type Refusal, refusal, unreadableRequestHead } from "../local-reply.ts";
import type { Snapshot } from "../snapshot.ts";
import type { ActiveRequest, ClientSide, FastContext } from "./fast-context.ts";
import { ConnectionLines } from "./forwarded-lines.ts";
import { HeldRequest } from "./held-request.ts";
import { LocalReplyExchange } from "./local-reply.ts";
import { PipelinedBytes } from "./pipelined-bytes.ts";
import type { RequestRecord, RequestRecords } from "./request-record.ts";
import { type ReadOwner, SocketReader } from "./socket-reader.ts";
import { SocketWriter } from "./socket-writer.ts";
import { Deadline } from "./timer-wheel.ts";

/** A head must be complete within this time: the bound on a slow sender of headers. */
const headTimeoutMs = 15_000;
/** How long an unused client connection is kept: longer than the usual 60 s of load balancers in front. */
const keepAliveMs = 75_000;
/** How long, and how many bytes of, an upload are read after the response that refused it. */
const lingerMs = 2_000;
const lingerBytes = 32 * 1024 * 1024;

/** What a connection needs of its lane. */
export interface ConnectionOwner {
  /** True once the lane drains: each connection closes after its current response. */
  readonly isClosing: boolean;
  readonly records: RequestRecords;
  /** Hands the connection over to the standard lane, with the bytes read but not parsed. */
  handOver(socket: Socket, downstream: DownstreamInfo): void;
  closed(connection: ClientConnection): void;
}

/**
 * One client connection in the fast lane. Its requests are served one at a time and in order; bytes that arrive
 * meanwhile are buffered. The first request that this lane does not serve hands the connection over to the standard
 * lane, for good.
 */
export class ClientConnection implements ClientSide, ReadOwner {
  readonly writer: SocketWriter;
  readonly deadline: Deadline = new Deadline(this);
  readonly #context: FastContext;
  readonly #owner: ConnectionOwner;
  readonly #reads: SocketReader;
  readonly #socket: Socket;
  readonly #downstream: DownstreamInfo;
  readonly #lines: ConnectionLines;
  /** The snapshot that `#caller` is of. */
  #callerSnapshot: Snapshot | undefined;
  #caller: Caller | undefined;
  /** That have begun. */
  #requests = 0;
  #request: ActiveRequest | undefined;
  /** An incomplete head. */
  #partialHead: PartialHead | undefined;
  /** Received after a request in progress; undefined if that has never happened. */
  #pipelined: PipelinedBytes | undefined;
  /** The rest of an upload whose response has been sent; it is read and discarded. */
  #discarded: BodyParser | undefined;
  /** Whether the connection closes after the current response. */
  #closing = false;
  #state: "open" | "lingering" = "open";
  /** Bytes read and discarded after the last response. */
  #lingeredBytes = 0;
  /** The upload's upstream is slow. */
  #bodyPaused = false;
  /** How long the client may take no bytes; 0 if nothing waits for it. */
  #flushMs = 0;

  constructor(context: FastContext, owner: ConnectionOwner, accepted: Socket, downstream: DownstreamInfo) {
    this.#context = context;
    this.#owner = owner;
    this.#socket = accepted;
    this.#reads = new SocketReader(accepted, this);
    this.#downstream = downstream;
    this.#lines = new ConnectionLines(context.lines);
    this.writer = new SocketWriter(this.#socket, this.#onFlushed);
    // Errors are handled in `close`, which follows.
    this.#socket.on("error", ignore).on("end", this.#onEnd).on("close", this.#onClose);
    context.deadlines.arm(this.deadline, headTimeoutMs);
  }

  /**
   * Parses bytes put back by an earlier reader. Call after the owner has registered the connection: this may hand it
   * over.
   */
  begin(): void {
    const { early } = this.#reads;
    if (early !== undefined && !this.onRead(early, early.length)) this.#reads.pause();
  }

  /** Whether no request is being read or in progress. */
  get isIdle(): boolean {
    return this.#request === undefined && this.#partialHead === undefined && this.#discarded === undefined;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onDeadline(): void {
    if (this.#flushMs > 0 && this.writer.hasProgressed) {
      this.watchFlush(this.#flushMs);
      return;
    }
    try {
      if (this.#request !== undefined) this.#request.onDeadline();
      else if (this.#partialHead !== undefined) this.#refuse(refusal("request-timeout", "head"));
      else this.destroy();
    } catch (error) {
      this.#fail(error);
    }
  }

  // ---- for the current request

  /** The value of the response's `Connection` field; after `close` the connection takes no further request. */
  connectionAfter(kind: "response" | "last response"): "keep-alive" | "close" {
    const { context } = this.#context;
    const isLast = this.#requests >= context.snapshot.config.limits.requestsPerConnection;
    if (kind === "last response" || context.draining || isLast) this.#closing = true;
    return this.#closing ? "close" : "keep-alive";
  }

  /** The client is slow to read the response; it is closed after `ms` milliseconds without progress. */
  watchFlush(ms: number): void {
    this.#flushMs = ms;
    this.#context.deadlines.arm(this.deadline, ms);
    this.writer.markProgress();
  }

  pauseBody(): void {
    this.#bodyPaused = true;
  }

  resumeBody(): void {
    if (!this.#bodyPaused) return;
    this.#bodyPaused = false;
    if (!this.#isPaused()) this.#reads.resume();
  }

  #isPaused(): boolean {
    return this.#bodyPaused || this.#pipelined?.isFull === true;
  }

  /** From the next read on, reads into a buffer that no other connection uses. */
  useOwnBuffer(): void {
    this.#reads.useOwn();
  }

  /** `written`: whether a pending write may still refer to the own buffer. */
  useSharedBuffer(written: "flushed" | "pending"): void {
    this.#reads.useShared(written);
  }

  /** The response was sent completely. `body`: the request's body, which may be incomplete. */
  requestEnded(body: BodyParser | undefined): void {
    this.#request = undefined;
    const unread = body?.complete === false ? body : undefined;
    if (this.#closing || this.#owner.isClosing) {
      this.#end(unread);
      return;
    }
    this.#discarded = unread;
    this.#reads.useShared("pending");
    this.#context.deadlines.arm(this.deadline, keepAliveMs);
    this.resumeBody();
    this.#takePipelined();
  }

  // ---- reading

  onRead(bytes: Buffer, length: number): boolean {
    const { clock, ticks } = this.#context;
    clock.freeze();
    ticks.eventHandled();
    try {
      this.#take(bytes, 0, length);
    } catch (error) {
      this.#fail(error);
    }
    clock.unfreeze();
    return !this.#isPaused();
  }

  readonly #onFlushed = (): void => {
    // Node also calls back for writes that a destroyed socket never sent; `close` handles that.
    if (this.#socket.destroyed) return;
    this.#context.ticks.eventHandled();
    this.#flushMs = 0;
    try {
      this.#request?.onClientFlushed();
    } catch (error) {
      this.#fail(error);
    }
  };

  /** A half-close before the response aborts the request, as in node:http and most proxies. */
  readonly #onEnd = (): void => {
    this.destroy();
  };

  readonly #onClose = (): void => {
    this.deadline.cancel();
    this.#downstream.left();
    this.#owner.closed(this);
    const request = this.#request;
    this.#request = undefined;
    request?.onClientGone();
  };

  /** Bytes belong to the current request's body, are buffered after it, or start the next request. */
  #take(bytes: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#discarded !== undefined) at = this.#discard(this.#discarded, bytes, at, to);
    if (this.#state === "lingering") this.#linger(to - from);
    if (this.#state === "lingering" || at === to) return;
    if (this.#request?.awaitsBody) at = this.#request.onClientData(bytes, at, to);
    if (this.#partialHead === undefined) this.#takeRequests(bytes, at, to);
    else this.#readOn(this.#partialHead, bytes, at, to);
  }

  /** Serves pipelined requests in order, while each completes at once; bytes after one that does not are buffered. */
  #takeRequests(bytes: Buffer, from: number, to: number, partial?: PartialHead): void {
    let at = this.#request === undefined ? this.#readHead(bytes, from, to, partial) : from;
    while (at < to && this.#request === undefined && this.#state === "open") at = this.#readHead(bytes, at, to);
    if (at === to || this.#request === undefined) return;
    this.#pipelined ??= new PipelinedBytes();
    this.#pipelined.add(bytes, at, to);
  }

  #takePipelined(): void {
    if (this.#pipelined === undefined) return;
    const wasPaused = this.#isPaused();
    this.#pipelined.take((bytes) => {
      // An exception from the next request must not reach the code that ended this one.
      try {
        this.#take(bytes, 0, bytes.length);
      } catch (error) {
        this.#fail(error);
      }
    });
    if (wasPaused && !this.#isPaused()) this.#reads.resume();
  }

  #readOn(partial: PartialHead, bytes: Buffer, from: number, to: number): void {
    const { headerBytes } = this.#context.context.snapshot.config.limits;
    if (!partial.append(bytes, from, to) && partial.length <= headerBytes) return;
    this.#partialHead = undefined;
    this.#takeRequests(partial.bytes, 0, partial.length, partial);
  }

  /**
   * Returns the position where the next request starts; `to` if the head is incomplete or the connection was handed
   * over.
   */
  #readHead(bytes: Buffer, from: number, to: number, partial?: PartialHead): number {
    if (from === to) return to;
    const { requests, context } = this.#context;
    const { snapshot } = context;
    const record = this.#owner.records.next;
    const end = requests.read(bytes, from, to, snapshot, record.head);
    if (end === incomplete) {
      this.#partialHead = partial ?? new PartialHead(bytes, from, to);
      // The timeout for a head starts with its first byte.
      if (partial === undefined) this.#context.deadlines.arm(this.deadline, headTimeoutMs);
      return to;
    }
    const next = end === irregular ? "head" : this.#begin(record, snapshot, bytes, to);
    if (typeof next === "number") return next;
    this.#handOver(next, bytes, from, to);
    return to;
  }

  /**
   * Takes the request through the chain. Returns the position where the next request starts, or the reason for a
   * handover, in which case nothing was done or counted.
   */
  #begin(record: RequestRecord, snapshot: Snapshot, bytes: Buffer, to: number): HandoverCause | number {
    const { requests } = this.#context;
    const { head } = record;
    const { framing, contentLength } = requests;
    const { headerBytes } = snapshot.config.limits;
    const caller = this.#callerIn(snapshot);
    head.cookieNames = caller.trusted ? snapshot.ownCookies : snapshot.untrustedCookies;
    const exchange = record.begin(caller);
    const route = exchange.findRoute();
    if (route === undefined) return "no-route";
    if (route.lane === "standard") return "route";
    const { bodyBytes } = route;
    if (bodyBytes > 0 && (framing === "chunked" || contentLength > bodyBytes)) return "body-limit";
    // This lane passes chunks on with their framing; a mirrored request needs the bare content.
    if (framing === "chunked" && route.mirroring?.takes(head.method)) return "mirror-body";
    this.#closing = requests.closing;
    this.#requests++;
    this.#owner.records.taken();
    const body =
      framing === "none" ? undefined : new BodyParser(framing === "chunked" ? "chunked" : contentLength, headerBytes);
    if (route.rateLimit?.isShared === true && this.#isHeld(exchange, record, body)) return requests.end;
    return this.#proceed(exchange, record, body, bytes, requests.end, to);
  }

  /** Takes the request of a known route through the chain. `from`: what follows its head. */
  #proceed(
    exchange: Exchange,
    record: RequestRecord,
    body: BodyParser | undefined,
    bytes: Buffer,
    from: number,
    to: number,
  ): number {
    let reply: LocalReply | undefined;
    try {
      reply = exchange.begin();
    } catch (error) {
      this.#context.context.defect(error);
      this.#refuse(refusal("internal-error", "defect"), exchange);
      return to;
    }
    return reply === undefined
      ? this.#forward(record, body, bytes, from, to)
      : this.#reply(exchange, record, reply, body, bytes, from, to);
  }

  /** Whether the request waits for the verdict of a shared rate limit. Until then its body waits like pipelined bytes. */
  #isHeld(exchange: Exchange, record: RequestRecord, body: BodyParser | undefined): boolean {
    const held = new HeldRequest(this.#context, this, exchange);
    if (!exchange.awaitsVerdict((event) => this.#release(held, exchange, record, body, event))) return false;
    this.#request = held;
    this.deadline.disarm();
    record.head.keep();
    return true;
  }

  #release(
    held: HeldRequest,
    exchange: Exchange,
    record: RequestRecord,
    body: BodyParser | undefined,
    event: "answer" | "no answer",
  ): void {
    if (this.#request !== held) return;
    const { clock, ticks } = this.#context;
    clock.freeze();
    if (event === "answer") ticks.eventHandled();
    const wasPaused = this.#isPaused();
    this.#request = undefined;
    const proceed = (bytes: Buffer) => {
      try {
        const next = this.#proceed(exchange, record, body, bytes, 0, bytes.length);
        if (this.#state === "open") this.#takeRequests(bytes, next, bytes.length);
      } catch (error) {
        this.#fail(error);
      }
    };
    if (this.#pipelined?.take(proceed) !== true) proceed(noBytes);
    clock.unfreeze();
    if (wasPaused && !this.#isPaused()) this.#reads.resume();
  }

  #callerIn(snapshot: Snapshot): Caller {
    if (this.#caller !== undefined && this.#callerSnapshot === snapshot) return this.#caller;
    this.#callerSnapshot = snapshot;
    this.#caller = this.#downstream.caller(snapshot);
    return this.#caller;
  }

  #forward(record: RequestRecord, body: BodyParser | undefined, bytes: Buffer, from: number, to: number): number {
    const request = record.forward(this, body, this.#lines);
    this.#request = request;
    try {
      return request.start(bytes, from, to);
    } finally {
      record.head.keep();
    }
  }

  #reply(
    exchange: Exchange,
    record: RequestRecord,
    reply: LocalReply,
    body: BodyParser | undefined,
    bytes: Buffer,
    from: number,
    to: number,
  ): number {
    const request = new LocalReplyExchange(this.#context, this, exchange, record, body);
    this.#request = request;
    try {
      return request.start(reply, bytes, from, to);
    } finally {
      if (this.#request === request) record.head.keep();
    }
  }

  #handOver(cause: HandoverCause, bytes: Buffer, from: number, to: number): void {
    this.#context.context.handedOver(cause);
    this.deadline.cancel();
    this.#socket.off("error", ignore).off("end", this.#onEnd).off("close", this.#onClose);
    this.#reads.giveBack(Buffer.from(bytes.subarray(from, to)));
    this.#downstream.requestsStarted(this.#requests);
    this.#owner.handOver(this.#socket, this.#downstream);
    this.#owner.closed(this);
  }

  // ---- closing

  /**
   * After the last response. Closing with unread input would make the kernel reset the connection and lose the
   * response.
   */
  #end(body: BodyParser | undefined): void {
    this.#state = "lingering";
    this.#pipelined?.clear();
    if (body === undefined) {
      this.writer.end();
      return;
    }
    this.#discarded = body;
    this.#context.deadlines.arm(this.deadline, lingerMs);
    this.resumeBody();
  }

  #linger(bytes: number): void {
    this.#lingeredBytes += bytes;
    if (this.#discarded === undefined || this.#lingeredBytes > lingerBytes) this.writer.end();
  }

  #discard(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = body.read(bytes, from, to, { passBytes: ignore });
    if (body.complete) this.#discarded = undefined;
    else if (body.failure !== undefined && this.#state === "open") this.writer.end();
    return body.failure === undefined ? end : to;
  }

  /** Sends a local reply and closes, without forwarding. */
  #refuse(reply: Refusal, exchange?: Exchange): void {
    const { context, date } = this.#context;
    const refused = exchange ?? new Exchange(context, this.#callerIn(context.snapshot), unreadableRequestHead());
    const response = refused.localResponse(reply, undefined);
    const reasonPhrase = STATUS_CODES[response.status] ?? "";
    this.#state = "lingering";
    this.#partialHead = undefined;
    this.writer.addText(
      localResponseText(response, { reasonPhrase, connection: "close", date: date.now(), body: "sent" }),
    );
    this.writer.end();
    refused.end(response.status, reply.error);
  }

  /** A defect in one request must not end the process. */
  #fail(error: unknown): void {
    if (this.#request !== undefined) {
      this.#request.onDefect(error);
      return;
    }
    this.#context.context.defect(error);
    this.destroy();
  }
}

const noBytes = Buffer.alloc(0);

function ignore(): void {}
