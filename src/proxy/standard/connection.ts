import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { DownstreamInfo } from "../downstream.ts";

/** Whoever answers a request: hears when its response closed, and when the client's bytes stopped being HTTP. */
export interface Answering {
  closed(): void;
  clientFailed(code: ErrorCode): void;
}

/** What a connection asks of its server. */
export interface ConnectionOwner {
  /** Called whenever no request is left to answer. */
  idle(): void;
  isLast(): boolean;
}

/** A request whose turn has not come. */
interface Waiting {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly begin: () => Answering;
}

/**
 * One client connection. Its requests are taken one at a time: node:http hands over pipelined ones while the first is
 * still being answered, and whatever followed an answer with `Connection: close` would be carried out without anybody
 * being told the result.
 */
export class Connection {
  readonly downstream: DownstreamInfo;
  /** Whether the answer that is due is the last. */
  readonly isLast = (): boolean => this.#isEnding || this.#owner.isLast();
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #isEnding = false;
  #answering: Answering | undefined;
  readonly #waiting: Waiting[] = [];

  constructor(socket: Socket, downstream: DownstreamInfo, owner: ConnectionOwner) {
    this.downstream = downstream;
    this.#socket = socket;
    this.#owner = owner;
  }

  /** Who answers the request whose turn it is; undefined between requests. */
  get answering(): Answering | undefined {
    return this.#answering;
  }

  /** What follows on the connection is not known for certain any more: the next answer is the last. */
  endBehindAnswer(): void {
    this.#isEnding = true;
  }

  /** Begins the request now, or once those before it are answered; meanwhile no more is read from the client. */
  take(request: IncomingMessage, response: ServerResponse, begin: () => Answering): void {
    if (this.#answering === undefined) {
      this.#begin({ request, response, begin });
      return;
    }
    this.#waiting.push({ request, response, begin });
    this.#socket.pause();
  }

  #begin({ response, begin }: Waiting): void {
    this.downstream.requestStarted();
    const answering = begin();
    this.#answering = answering;
    response.on("close", () => {
      this.#answering = undefined;
      answering.closed();
      this.#next();
    });
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#owner.idle();
      return;
    }
    if (this.#waiting.length === 0) this.#socket.resume();
    // An answer with `Connection: close` was the last: what waits behind it was never begun, and is nobody's.
    if (!this.#socket.writable || this.#socket.writableEnded) this.#waiting.length = 0;
    else this.#begin(next);
  }
}
