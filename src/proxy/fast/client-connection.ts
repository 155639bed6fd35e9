import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { HandoverCause } from "../../observe/handover-cells.ts";
import { Exchange } from "../exchange.ts";
import { ownAnswer, ownAnswerText } from "../own-answer.ts";
import { Peer } from "../peer.ts";
import type { Snapshot } from "../snapshot.ts";
import { unreadableHead } from "../unreadable-head.ts";
import { type AcceptedSocket, readAccepted } from "./accepted-socket.ts";
import { BodyReader } from "./body-reader.ts";
import { Deadline } from "./deadlines.ts";
import type { FastContext } from "./fast-context.ts";
import { FastForwarding } from "./fast-forwarding.ts";
import type { FastHead } from "./fast-head.ts";
import { incomplete, irregular } from "./field-scan.ts";
import { Outlet } from "./outlet.ts";
import { PartialHead } from "./partial-head.ts";
import { requestText, WayText } from "./request-text.ts";

/** A head must be complete within this time: the bound on a slow sender of headers. */
const headTimeoutMs = 15_000;
/** How long an unused client connection is kept: longer than the 60 s that load balancers in front usually keep theirs. */
const keepAliveMs = 75_000;
/** How much of an upload, and for how long, is read after the answer that refused it. */
const lingerMs = 2_000;
const lingerBytes = 32 * 1024 * 1024;
/** Octets of further requests that are held while one is answered; then no more is read. */
const mostWaitingBytes = 64 * 1024;

/** What a connection asks of the lane that it belongs to. */
export interface ConnectionOwner {
  /** Gives the connection to the standard lane, with what was read and not understood. */
  handOver(socket: Socket): void;
  closed(connection: ClientConnection): void;
}

/**
 * One client connection in the fast lane. Its requests are taken one at a time and answered in order; octets that come
 * meanwhile wait. The first that this lane does not serve makes the connection the standard lane's, for good.
 */
export class ClientConnection {
  readonly outlet: Outlet;
  readonly deadline: Deadline = new Deadline(this);
  readonly #context: FastContext;
  readonly #owner: ConnectionOwner;
  readonly #accepted: AcceptedSocket;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #way = new WayText();
  #buffer: Buffer;
  #request: FastForwarding | undefined;
  /** A head of which not all has come. */
  #partialHead: PartialHead | undefined;
  /** What came behind the request that is being answered. */
  #waiting: Buffer | undefined;
  /** What is left of an upload whose answer is out; it is read and thrown away. */
  #discarded: BodyReader | undefined;
  /** Whether the answer that is due is the last. */
  #closing = false;
  #state: "open" | "lingering" = "open";
  /** What was read and thrown away behind the last answer. */
  #lingeredBytes = 0;
  #paused = false;

  constructor(context: FastContext, owner: ConnectionOwner, accepted: Socket) {
    this.#context = context;
    this.#owner = owner;
    this.#buffer = context.buffers.shared;
    this.#accepted = readAccepted(accepted, { buffer: () => this.#buffer, onRead: this.#onRead });
    this.#socket = this.#accepted.socket;
    this.#peer = new Peer(this.#socket);
    this.outlet = new Outlet(this.#socket, context.buffers, this.#onFlushed);
    // Whatever broke is also told by `close`.
    this.#socket.on("error", ignore).on("end", this.#onEnd).on("close", this.#onClose);
    context.deadlines.arm(this.deadline, headTimeoutMs);
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
    if (answer === "last answer" || this.#context.gateway.draining) this.#closing = true;
    return this.#closing ? "close" : "keep-alive";
  }

  pauseBody(): void {
    this.#paused = true;
  }

  resumeBody(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** From the next read on, octets come in a buffer that no other connection reads into. */
  useOwnBuffer(): void {
    if (this.#buffer === this.#context.buffers.shared) this.#buffer = this.#context.buffers.take();
  }

  /** `written`: whether a write may still hold on to the own buffer. */
  useSharedBuffer(written: "flushed" | "pending"): void {
    const { buffers } = this.#context;
    if (this.#buffer === buffers.shared) return;
    if (written === "flushed") buffers.giveBack(this.#buffer);
    this.#buffer = buffers.shared;
  }

  /** Its answer has left whole. `body` is the request's, of which some may still be to come. */
  requestEnded(body: BodyReader | undefined): void {
    this.#request = undefined;
    const unread = body?.complete === false ? body : undefined;
    if (this.#closing) {
      this.#end(unread);
      return;
    }
    this.#discarded = unread;
    this.#context.deadlines.arm(this.deadline, keepAliveMs);
    this.resumeBody();
    this.#takeWaiting();
  }

  // ---- what comes in

  readonly #onRead = (length: number, octets: Buffer): boolean => {
    this.#context.turns.happened();
    try {
      this.#take(octets, 0, length);
    } catch (error) {
      this.#fail(error);
    }
    return !this.#paused;
  };

  readonly #onFlushed = (): void => {
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

  readonly #onClose = (): void => {
    this.deadline.cancel();
    this.#owner.closed(this);
    const request = this.#request;
    this.#request = undefined;
    request?.onClientGone();
  };

  /** Octets go to the request that awaits its body, wait behind it, or begin the next. */
  #take(octets: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#discarded !== undefined) at = this.#discard(this.#discarded, octets, at, to);
    if (this.#state === "lingering") this.#linger(to - from);
    if (this.#state === "lingering" || at === to) return;
    if (this.#request?.awaitsBody) at = this.#request.onClientData(octets, at, to);
    if (at === to) return;
    if (this.#request !== undefined) this.#wait(octets, at, to);
    else if (this.#partialHead === undefined) this.#readHead(octets, at, to);
    else this.#readOn(this.#partialHead, octets, at, to);
  }

  #wait(octets: Buffer, from: number, to: number): void {
    const piece = octets.subarray(from, to);
    this.#waiting = this.#waiting === undefined ? Buffer.from(piece) : Buffer.concat([this.#waiting, piece]);
    if (this.#waiting.length >= mostWaitingBytes) this.#paused = true;
  }

  #takeWaiting(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.#take(waiting, 0, waiting.length);
  }

  #readOn(partial: PartialHead, octets: Buffer, from: number, to: number): void {
    const { headerBytes } = this.#context.gateway.snapshot.config.limits;
    if (!partial.append(octets, from, to) && partial.length <= headerBytes) return;
    this.#partialHead = undefined;
    this.#readHead(partial.octets, 0, partial.length);
  }

  #readHead(octets: Buffer, from: number, to: number): void {
    const { requests, gateway } = this.#context;
    const { snapshot } = gateway;
    const head = requests.read(octets, from, to, snapshot);
    if (head === incomplete) {
      // The time for a head runs from its first octet.
      this.#partialHead = new PartialHead(octets, from, to);
      this.#context.deadlines.arm(this.deadline, headTimeoutMs);
      return;
    }
    const unfit = head === irregular ? "head" : this.#begin(head, snapshot, octets, to);
    if (unfit !== undefined) this.#handOver(unfit, octets, from, to);
  }

  /** Takes the request through the chain; or says why it is the standard lane's, and nothing was done or counted. */
  #begin(head: FastHead, snapshot: Snapshot, octets: Buffer, to: number): HandoverCause | undefined {
    const { requests, gateway } = this.#context;
    const { framing, contentLength, end } = requests;
    const { bodyBytes, headerBytes } = snapshot.config.limits;
    if (bodyBytes > 0 && (framing === "chunked" || contentLength > bodyBytes)) return "body-limit";
    const exchange = new Exchange(gateway, this.#peer.caller(snapshot), head);
    const route = exchange.findRoute();
    if (route === undefined) return "no-route";
    if (route.lane === "standard") return "route";
    this.#closing = requests.closing;
    try {
      exchange.begin();
    } catch (error) {
      gateway.defect(error);
      this.#refuse("internal-error", exchange);
      return undefined;
    }
    const body =
      framing === "none" ? undefined : new BodyReader(framing === "chunked" ? "chunked" : contentLength, headerBytes);
    const { attempts } = exchange;
    if (attempts === undefined) throw new TypeError("An exchange with a route has no attempts.");
    this.#request = new FastForwarding(this.#context, this, {
      exchange,
      attempts,
      timeouts: route.service.timeouts,
      body,
      headText: requestText(exchange, head, requests, this.#way),
    });
    const next = this.#request.start(octets, end, to);
    if (next < to) this.#wait(octets, next, to);
    return undefined;
  }

  #handOver(cause: HandoverCause, octets: Buffer, from: number, to: number): void {
    this.#context.gateway.handedOver(cause);
    this.deadline.cancel();
    this.#socket.off("error", ignore).off("end", this.#onEnd).off("close", this.#onClose);
    this.#accepted.giveBack(Buffer.from(octets.subarray(from, to)));
    this.#owner.handOver(this.#socket);
    this.#owner.closed(this);
  }

  // ---- how it ends

  /** The last answer is out. Closing with unread input would make the kernel reset the connection, and the answer be lost. */
  #end(body: BodyReader | undefined): void {
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

  #discard(body: BodyReader, octets: Buffer, from: number, to: number): number {
    const end = body.read(octets, from, to, { passOctets: ignore });
    if (body.complete) this.#discarded = undefined;
    else if (body.failure !== undefined && this.#state === "open") this.#socket.destroySoon();
    return body.failure === undefined ? end : to;
  }

  /** Answers where nothing was forwarded, and closes. */
  #refuse(code: ErrorCode, exchange?: Exchange): void {
    const { gateway, date } = this.#context;
    const refused = exchange ?? new Exchange(gateway, this.#peer.caller(gateway.snapshot), unreadableHead());
    const answer = ownAnswer(code, refused.requestId, undefined);
    const reasonPhrase = STATUS_CODES[answer.status] ?? "";
    refused.bytesSent = answer.body.length;
    this.#state = "lingering";
    this.#partialHead = undefined;
    const text = ownAnswerText(answer, { reasonPhrase, connection: "close", date: date.now(), body: "sent" });
    this.#socket.end(text, "latin1", () => this.#socket.destroy());
    refused.end(answer.status, code);
  }

  /** One request's defect must not end the process that serves all the others. */
  #fail(error: unknown): void {
    if (this.#request !== undefined) {
      this.#request.onDefect(error);
      return;
    }
    this.#context.gateway.defect(error);
    this.destroy();
  }
}

function ignore(): void {}
