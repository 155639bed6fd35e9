import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { DownstreamInfo } from "../downstream.ts";
import type { Refusal } from "../local-reply.ts";

/** A request that is being served. */
export interface ActiveRequest {
  /** The response has closed. */
  closed(): void;
  /** The bytes received from the client are not valid HTTP. */
  clientFailed(refusal: Refusal): void;
}

/** What a connection needs from its server. */
export interface ConnectionOwner {
  /** Called whenever no request is left to serve. */
  idle(): void;
  /** Whether the connection closes after the current response. */
  isLast(): boolean;
}

interface QueuedRequest {
  readonly response: ServerResponse;
  readonly begin: () => ActiveRequest;
}

/**
 * One HTTP/1.1 client connection. Serves one request at a time: node:http emits pipelined requests while the first is
 * still served. After a response with `Connection: close` they would be forwarded, but their responses never sent.
 */
export class Connection {
  readonly downstream: DownstreamInfo;
  /** Whether the connection closes after the current response. */
  readonly isLast = (): boolean => this.#isClosing || this.#owner.isLast();
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #isClosing = false;
  #active: ActiveRequest | undefined;
  readonly #queue: QueuedRequest[] = [];

  constructor(socket: Socket, downstream: DownstreamInfo, owner: ConnectionOwner) {
    this.downstream = downstream;
    this.#socket = socket;
    this.#owner = owner;
  }

  /** The request that is being served; undefined between requests. */
  get active(): ActiveRequest | undefined {
    return this.#active;
  }

  closeAfterResponse(): void {
    this.#isClosing = true;
  }

  /** Begins the request now, or after those before it. Until then nothing more is read from the client. */
  serve(response: ServerResponse, begin: () => ActiveRequest): void {
    if (this.#active === undefined) {
      this.#begin({ response, begin });
      return;
    }
    this.#queue.push({ response, begin });
    this.#socket.pause();
  }

  #begin({ response, begin }: QueuedRequest): void {
    this.downstream.requestsStarted(1);
    const active = begin();
    this.#active = active;
    response.on("close", () => {
      this.#active = undefined;
      active.closed();
      this.#next();
    });
  }

  #next(): void {
    const next = this.#queue.shift();
    if (next === undefined) {
      this.#owner.idle();
      return;
    }
    if (this.#queue.length === 0) this.#socket.resume();
    // After `Connection: close` no response can be sent, so queued requests are dropped.
    if (!this.#socket.writable || this.#socket.writableEnded) this.#queue.length = 0;
    else this.#begin(next);
  }
}
