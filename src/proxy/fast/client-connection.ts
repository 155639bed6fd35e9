import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { HandoverCause } from "../../observe/process-stats.ts";
import type { Timeouts } from "../../upstream/service-spec.ts";
import type { DownstreamInfo } from "../downstream.ts";
import { Exchange } from "../exchange.ts";
import { type LocalReply, localResponse, localResponseText, unreadableRequestHead } from "../local-reply.ts";
import type { Snapshot } from "../snapshot.ts";
import { type AcceptedSocket, readAccepted } from "./adopted-socket.ts";
import { BodyParser } from "./body-parser.ts";
import type { ActiveRequest, ClientSide, FastContext } from "./fast-context.ts";
import { Forward } from "./forward.ts";
import { incomplete, irregular, PartialHead } from "./header-scanner.ts";
import { LocalReplyExchange } from "./local-reply.ts";
import type { FastHead } from "./request-parser.ts";
import { ReadTarget, SocketWriter } from "./socket-writer.ts";
import { Deadline } from "./timer-wheel.ts";
import { ForwardedHeaderCache, requestText } from "./upstream-request.ts";

/** A head must be complete within this time: the bound on a slow sender of headers. */
const headTimeoutMs = 15_000;
/** How long an unused client connection is kept: longer than the 60 s that load balancers in front usually keep theirs. */
const keepAliveMs = 75_000;
/** How much of an upload, and for how long, is read after the answer that refused it. */
const lingerMs = 2_000;
const lingerBytes = 32 * 1024 * 1024;
/** Bytes of further requests that are held while one is answered; then no more is read. */
const maxWaitingBytes = 64 * 1024;

/** What a connection asks of the lane that it belongs to. */
export interface ConnectionOwner {
  /** True once it waits for its connections to end: none is kept behind its answer. */
  readonly isClosing: boolean;
  /** Gives the connection to the standard lane, with what was read and not understood. */
  handOver(socket: Socket, downstream: DownstreamInfo): void;
  closed(connection: ClientConnection): void;
}

/**
 * One client connection in the fast lane. Its requests are taken one at a time and answered in order; bytes that come
 * meanwhile wait. The first that this lane does not serve makes the connection the standard lane's, for good.
 */
export class ClientConnection implements ClientSide {
  readonly writer: SocketWriter;
  readonly deadline: Deadline = new Deadline(this);
  readonly #context: FastContext;
  readonly #owner: ConnectionOwner;
  readonly #accepted: AcceptedSocket;
  readonly #socket: Socket;
  readonly #downstream: DownstreamInfo;
  readonly #way = new ForwardedHeaderCache();
  readonly #target: ReadTarget;
  #request: ActiveRequest | undefined;
  /** A head of which not all has come. */
  #partialHead: PartialHead | undefined;
  /** What came behind the request that is being answered. */
  #waiting: Buffer | undefined;
  /** What is being taken from there. */
  #taken: Buffer | undefined;
  /** What is left of an upload whose answer is out; it is read and thrown away. */
  #discarded: BodyParser | undefined;
  /** Whether the answer that is due is the last. */
  #closing = false;
  #state: "open" | "lingering" = "open";
  /** What was read and thrown away behind the last answer. */
  #lingeredBytes = 0;
  /** Why nothing is read for now: the upload's other side is slow, or enough waits already. */
  #bodyPaused = false;
  #waitingIsFull = false;
  #flushIsWatched = false;

  constructor(context: FastContext, owner: ConnectionOwner, accepted: Socket, downstream: DownstreamInfo) {
    this.#context = context;
    this.#owner = owner;
    this.#target = new ReadTarget(context.buffers);
    this.#accepted = readAccepted(accepted, { buffer: this.#target.next, onRead: this.#onRead });
    this.#socket = this.#accepted.socket;
    this.#downstream = downstream;
    this.writer = new SocketWriter(this.#socket, context.buffers, this.#onFlushed);
    // Whatever broke is also told by `close`.
    this.#socket.on("error", ignore).on("end", this.#onEnd).on("close", this.#onClose).on("timeout", this.#onTimeout);
    context.deadlines.arm(this.deadline, headTimeoutMs);
  }

  /** Takes what was read before; its owner knows it by now, for the connection may be another's after that. */
  begin(): void {
    const { early } = this.#accepted;
    if (early !== undefined && !this.#read(early.length, early)) this.#socket.pause();
  }

  /** Whether no request is being read or answered. */
  get isIdle(): boolean {
    return this.#request === undefined && this.#partialHead === undefined && this.#discarded === undefined;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onDeadline(): void {
    try {
      if (this.#request !== undefined) this.#request.onDeadline();
      else if (this.#partialHead !== undefined) this.#refuse("request-timeout");
      else this.destroy();
    } catch (error) {
      this.#fail(error);
    }
  }

  // ---- for the request that is being answered

  /** What the answer says of the connection; a last one is held to it. */
  connectionAfter(answer: "response" | "last answer"): "keep-alive" | "close" {
    const { context } = this.#context;
    if (answer === "last answer" || context.draining || this.#downstream.maxRequestsReached(context.snapshot))
      this.#closing = true;
    return this.#closing ? "close" : "keep-alive";
  }

  /** The client has not taken what was written; from its last sign of doing so, it has so many milliseconds. */
  watchFlush(ms: number): void {
    this.deadline.disarm();
    this.#flushIsWatched = true;
    // Node's own timer, which sees a slow client take a part of it; only those that are slow need one.
    this.#socket.setTimeout(ms);
  }

  pauseBody(): void {
    this.#bodyPaused = true;
  }

  resumeBody(): void {
    if (!this.#bodyPaused) return;
    this.#bodyPaused = false;
    if (!this.#isPaused) this.#socket.resume();
  }

  get #isPaused(): boolean {
    return this.#bodyPaused || this.#waitingIsFull;
  }

  /** From the next read on, bytes come in a buffer that no other connection reads into. */
  useOwnBuffer(): void {
    this.#target.useOwn();
  }

  /** `written`: whether a write may still hold on to the own buffer. */
  useSharedBuffer(written: "flushed" | "pending"): void {
    this.#target.useShared(written);
  }

  /** Its answer has left whole. `body` is the request's, of which some may still be to come. */
  requestEnded(body: BodyParser | undefined): void {
    this.#request = undefined;
    const unread = body?.complete === false ? body : undefined;
    if (this.#closing || this.#owner.isClosing) {
      this.#end(unread);
      return;
    }
    this.#discarded = unread;
    this.#target.useShared("pending");
    this.#context.deadlines.arm(this.deadline, keepAliveMs);
    this.resumeBody();
    this.#takeWaiting();
  }

  // ---- what comes in

  readonly #onRead = (length: number, bytes: Buffer): boolean => {
    this.#target.readBegun();
    return this.#read(length, bytes);
  };

  #read(length: number, bytes: Buffer): boolean {
    const { clock, turns } = this.#context;
    clock.freeze();
    turns.eventHandled();
    try {
      this.#take(bytes, 0, length);
    } catch (error) {
      this.#fail(error);
    }
    clock.unfreeze();
    return !this.#isPaused;
  }

  readonly #onFlushed = (): void => {
    // Node calls back for what a destroyed socket never sent; its `close` tells the rest.
    if (this.#socket.destroyed) return;
    if (this.#flushIsWatched) this.#socket.setTimeout(0);
    this.#flushIsWatched = false;
    try {
      this.#request?.onClientFlushed();
    } catch (error) {
      this.#fail(error);
    }
  };

  /** Whoever closes before the answer came does not want it: node:http sees it so too, and so do most proxies. */
  readonly #onEnd = (): void => {
    this.destroy();
  };

  readonly #onTimeout = (): void => {
    this.onDeadline();
  };

  readonly #onClose = (): void => {
    this.deadline.cancel();
    this.#downstream.left();
    this.#owner.closed(this);
    const request = this.#request;
    this.#request = undefined;
    request?.onClientGone();
  };

  /** Bytes go to the request that awaits its body, wait behind it, or begin the next. */
  #take(bytes: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#discarded !== undefined) at = this.#discard(this.#discarded, bytes, at, to);
    if (this.#state === "lingering") this.#linger(to - from);
    if (this.#state === "lingering" || at === to) return;
    if (this.#request?.awaitsBody) at = this.#request.onClientData(bytes, at, to);
    if (this.#partialHead === undefined) this.#takeRequests(bytes, at, to);
    else this.#readOn(this.#partialHead, bytes, at, to);
  }

  /** One after the other, as long as each is answered at once; what is behind one that is not waits. */
  #takeRequests(bytes: Buffer, from: number, to: number, partial?: PartialHead): void {
    let at = this.#request === undefined ? this.#readHead(bytes, from, to, partial) : from;
    while (at < to && this.#request === undefined && this.#state === "open") at = this.#readHead(bytes, at, to);
    if (at < to && this.#request !== undefined) this.#wait(bytes, at, to);
  }

  #wait(bytes: Buffer, from: number, to: number): void {
    const piece = bytes.subarray(from, to);
    // What waited before and waits on is not copied again for each request that is taken from it.
    if (bytes === this.#taken) this.#waiting = piece;
    else this.#waiting = this.#waiting === undefined ? Buffer.from(piece) : Buffer.concat([this.#waiting, piece]);
    this.#waitingIsFull = this.#waiting.length >= maxWaitingBytes;
  }

  #takeWaiting(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const wasPaused = this.#isPaused;
    this.#waiting = undefined;
    this.#waitingIsFull = false;
    this.#taken = waiting;
    // Whoever ended the request before must not hear what goes wrong with the next.
    try {
      this.#take(waiting, 0, waiting.length);
    } catch (error) {
      this.#fail(error);
    }
    this.#taken = undefined;
    if (wasPaused && !this.#isPaused) this.#socket.resume();
  }

  #readOn(partial: PartialHead, bytes: Buffer, from: number, to: number): void {
    const { headerBytes } = this.#context.context.snapshot.config.limits;
    if (!partial.append(bytes, from, to) && partial.length <= headerBytes) return;
    this.#partialHead = undefined;
    this.#takeRequests(partial.bytes, 0, partial.length, partial);
  }

  /** Answers with the position where the next request starts; all is taken where it is none, or not this lane's. */
  #readHead(bytes: Buffer, from: number, to: number, partial?: PartialHead): number {
    if (from === to) return to;
    const { requests, context } = this.#context;
    const { snapshot } = context;
    const head = requests.read(bytes, from, to, snapshot);
    if (head === incomplete) {
      this.#partialHead = partial ?? new PartialHead(bytes, from, to);
      // The time for a head runs from its first byte.
      if (partial === undefined) this.#context.deadlines.arm(this.deadline, headTimeoutMs);
      return to;
    }
    const next = head === irregular ? "head" : this.#begin(head, snapshot, bytes, to);
    if (typeof next === "number") return next;
    this.#handOver(next, bytes, from, to);
    return to;
  }

  /**
   * Takes the request through the chain. Answers with the position where the next one starts; or says why it is the
   * standard lane's, and nothing was done or counted.
   */
  #begin(head: FastHead, snapshot: Snapshot, bytes: Buffer, to: number): HandoverCause | number {
    const { requests, context } = this.#context;
    const { framing, contentLength } = requests;
    const { headerBytes } = snapshot.config.limits;
    const exchange = new Exchange(context, this.#downstream.caller(snapshot), head);
    const route = exchange.findRoute();
    if (route === undefined) return "no-route";
    if (route.lane === "standard") return "route";
    const { bodyBytes } = route;
    if (bodyBytes > 0 && (framing === "chunked" || contentLength > bodyBytes)) return "body-limit";
    // A chunked body is passed on framed here, and a copy is framed anew.
    if (framing === "chunked" && route.mirroring?.takes(head.method)) return "mirror-body";
    this.#closing = requests.closing;
    this.#downstream.requestStarted();
    let ending: LocalReply | undefined;
    try {
      ending = exchange.begin();
    } catch (error) {
      context.defect(error);
      this.#refuse("internal-error", exchange);
      return to;
    }
    const body =
      framing === "none" ? undefined : new BodyParser(framing === "chunked" ? "chunked" : contentLength, headerBytes);
    return ending === undefined
      ? this.#forward(exchange, head, route.timeouts, body, bytes, to)
      : this.#answer(exchange, ending, body, bytes, to);
  }

  #forward(
    exchange: Exchange,
    head: FastHead,
    timeouts: Timeouts,
    body: BodyParser | undefined,
    bytes: Buffer,
    to: number,
  ): number {
    const { requests } = this.#context;
    const { attempts } = exchange;
    if (attempts === undefined) throw new TypeError("An exchange that is to be forwarded has no attempts.");
    const headText = requestText(exchange, head, requests, this.#way);
    const request = new Forward(this.#context, this, { exchange, attempts, timeouts, body, headText });
    this.#request = request;
    return request.start(bytes, requests.end, to);
  }

  #answer(exchange: Exchange, ending: LocalReply, body: BodyParser | undefined, bytes: Buffer, to: number): number {
    const request = new LocalReplyExchange(this.#context, this, exchange, body);
    this.#request = request;
    return request.start(ending, bytes, this.#context.requests.end, to);
  }

  #handOver(cause: HandoverCause, bytes: Buffer, from: number, to: number): void {
    this.#context.context.handedOver(cause);
    this.deadline.cancel();
    this.#socket
      .off("error", ignore)
      .off("end", this.#onEnd)
      .off("close", this.#onClose)
      .off("timeout", this.#onTimeout);
    this.#accepted.giveBack(Buffer.from(bytes.subarray(from, to)));
    this.#owner.handOver(this.#socket, this.#downstream);
    this.#owner.closed(this);
  }

  // ---- how it ends

  /** The last answer is out. Closing with unread input would make the kernel reset the connection, and the answer be lost. */
  #end(body: BodyParser | undefined): void {
    this.#state = "lingering";
    this.#waiting = undefined;
    if (body === undefined) {
      this.#socket.destroySoon();
      return;
    }
    this.#discarded = body;
    this.#context.deadlines.arm(this.deadline, lingerMs);
    this.resumeBody();
  }

  #linger(bytes: number): void {
    this.#lingeredBytes += bytes;
    if (this.#discarded === undefined || this.#lingeredBytes > lingerBytes) this.#socket.destroySoon();
  }

  #discard(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = body.read(bytes, from, to, { passBytes: ignore });
    if (body.complete) this.#discarded = undefined;
    else if (body.failure !== undefined && this.#state === "open") this.#socket.destroySoon();
    return body.failure === undefined ? end : to;
  }

  /** Answers where nothing was forwarded, and closes. */
  #refuse(code: ErrorCode, exchange?: Exchange): void {
    const { context, date } = this.#context;
    const refused =
      exchange ?? new Exchange(context, this.#downstream.caller(context.snapshot), unreadableRequestHead());
    const answer = localResponse(code, refused.requestId, undefined);
    const reasonPhrase = STATUS_CODES[answer.status] ?? "";
    refused.bytesSent = answer.body.length;
    this.#state = "lingering";
    this.#partialHead = undefined;
    const text = localResponseText(answer, { reasonPhrase, connection: "close", date: date.now(), body: "sent" });
    this.#socket.end(text, "latin1", () => this.#socket.destroy());
    refused.end(answer.status, code);
  }

  /** One request's defect must not end the process that serves all the others. */
  #fail(error: unknown): void {
    if (this.#request !== undefined) {
      this.#request.onDefect(error);
      return;
    }
    this.#context.context.defect(error);
    this.destroy();
  }
}

function ignore(): void {}
