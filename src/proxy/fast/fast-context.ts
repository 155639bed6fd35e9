import type { ProxyContext } from "../proxy-context.ts";
import type { BodyParser } from "./body-parser.ts";
import type { RequestParser } from "./request-parser.ts";
import type { ResponseParser } from "./response-parser.ts";
import type { HttpDate } from "./response-writer.ts";
import type { SocketWriter } from "./socket-writer.ts";
import type { Deadline } from "./timer-wheel.ts";
import type { FastUpstreamPools, UpstreamContext } from "./upstream-pool.ts";

/** What all connections of one listener's fast lane share. */
export interface FastContext extends UpstreamContext {
  readonly context: ProxyContext;
  readonly pools: FastUpstreamPools;
  readonly date: HttpDate;
  readonly requests: RequestParser;
  readonly responses: ResponseParser;
}

/** The request that a connection is answering; hears all that happens to it. */
export interface ActiveRequest {
  /** Whether bytes of the client still belong to it. */
  readonly awaitsBody: boolean;
  /** More of its body. Answers with the position where the next request starts. */
  onClientData(bytes: Buffer, from: number, to: number): number;
  /** What was written to the client has left. */
  onClientFlushed(): void;
  onClientGone(): void;
  /** Nothing happened for as long as the present step may take. */
  onDeadline(): void;
  /** One of the others threw. */
  onDefect(error: unknown): void;
}

/** The client connection as the request sees it that is being answered on it. */
export interface ClientSide {
  readonly writer: SocketWriter;
  readonly deadline: Deadline;
  /** The value of the response's `Connection` field; after `close` the connection takes no further request. */
  connectionAfter(answer: "response" | "last answer"): "keep-alive" | "close";
  /** The client has not read what was written; from its last read on, it has so many milliseconds. */
  watchFlush(ms: number): void;
  pauseBody(): void;
  resumeBody(): void;
  /** From the next read on, bytes come in a buffer that no other connection reads into. */
  useOwnBuffer(): void;
  /** `written`: whether a write may still hold on to the own buffer. */
  useSharedBuffer(written: "flushed" | "pending"): void;
  /** The response has left whole. `body` is the request's, of which some may still be to come. */
  requestEnded(body: BodyParser | undefined): void;
  destroy(): void;
}
