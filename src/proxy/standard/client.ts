import type { Readable } from "node:stream";
import { grpcStatusOfError } from "../../http/grpc-status.ts";
import type { Exchange } from "../exchange.ts";
import {
  closesConnection,
  errorOf,
  grpcLocalResponse,
  type LocalReply,
  type LocalResponse,
  localResponse,
} from "../local-reply.ts";

/** What becomes of the client's connection behind an own answer. */
export type Afterwards = "keep" | "close";

/**
 * The client's side of one request, whichever HTTP it came by: where its body is read and its answer written. Whoever
 * forwards a request sees no more of the client than this, so that every protocol is forwarded by the same code.
 */
export interface ClientSide {
  /** Its Accept field. */
  readonly accept: string | undefined;
  /** A call of gRPC is told how it ended in fields of its own, whatever the HTTP status. */
  readonly dialect: "http" | "grpc";
  /** The request's body, unread. */
  readonly body: Readable;
  /** What came behind the body, flat; undefined where its trailers are dropped. */
  readonly trailers: (() => readonly string[]) | undefined;
  /** Whether all of the request has come. */
  readonly requestComplete: boolean;
  /** Whether it knows interim answers and trailers, as HTTP/1.0 does not. */
  readonly knowsInterim: boolean;
  /** The status that was sent last. */
  readonly status: number;
  /** Whether the head of an answer was written. */
  readonly headSent: boolean;
  /** Whether the last byte of an answer was written. */
  readonly ended: boolean;
  /** Whether all of the answer left this process. */
  readonly finished: boolean;
  /** Whether it has yet to take what was written. */
  readonly isBehind: boolean;

  sendContinue(): void;
  sendProcessing(): void;
  /** Link values for a 103. */
  sendEarlyHints(links: readonly string[]): void;
  /** The head of the final answer; flat. `trailers`: whether fields may come behind the body. */
  sendHead(status: number, reason: string | undefined, fields: string[], trailers: "may follow" | "none"): void;
  /** A body that is slow to begin must not hold its head back. */
  flushHead(): void;
  /** False where `onceDrained` tells when to send more. */
  send(chunk: Buffer): boolean;
  onceDrained(drained: () => void): void;
  /** The last bytes, then the trailer fields. */
  end(chunk?: Buffer, trailers?: readonly [string, string][]): void;
  sendOwn(answer: LocalResponse, afterwards: Afterwards): void;
  /** The answer that is due is the last on its connection. */
  closeBehindAnswer(): void;
  /** Closes its connection once what was written has left. */
  closeNow(): void;
  /** Calls back whenever nothing was read or written for so long. Calling again starts anew. */
  watchSilence(ms: number, silent: () => void): void;
  /** Breaks the answer off, so that it can not be taken for a whole one. */
  cut(): void;
}

/** Answers a request that Perch ends itself, in the client's own terms; tells the status that was sent. */
export function sendLocalReply(exchange: Exchange, ending: LocalReply, client: ClientSide): number {
  const error = errorOf(ending);
  const isCall = client.dialect === "grpc" && error !== undefined;
  const { requestId, attempts } = exchange;
  const answer = isCall
    ? grpcLocalResponse(error, requestId)
    : localResponse(ending, requestId, client.accept, attempts?.retryAfterSeconds);
  if (isCall) exchange.grpcStatus = grpcStatusOfError(error);
  exchange.bytesSent = answer.body.length;
  client.sendOwn(answer, closesConnection(ending) ? "close" : "keep");
  return answer.status;
}
