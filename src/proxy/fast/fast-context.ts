import type { BodyParser } from "../http1/body-parser.ts";
import type { ResponseParser } from "../http1/response-parser.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { FastHead } from "./fast-head.ts";
import type { ForwardedLinesCache } from "./forwarded-lines.ts";
import type { RequestParser } from "./request-parser.ts";
import type { HttpDate, RelayPool } from "./response-writer.ts";
import type { SocketWriter } from "./socket-writer.ts";
import type { Deadline } from "./timer-wheel.ts";
import type { FastUpstreamPools, UpstreamContext } from "./upstream-pool.ts";

/** State shared by all connections of one listener's fast lane. */
export interface FastContext extends UpstreamContext {
  readonly context: ProxyContext;
  readonly pools: FastUpstreamPools;
  readonly date: HttpDate;
  readonly lines: ForwardedLinesCache;
  readonly relays: RelayPool;
  readonly requests: RequestParser;
  readonly responses: ResponseParser;
}

/** The objects of one request, as seen by what serves it. */
export interface RecordInUse {
  readonly head: FastHead;
  /** The request has ended, and nothing refers to its objects any more: they serve another one. */
  putBack(): void;
}

/** A connection's current request; receives the connection's events. */
export interface ActiveRequest {
  /** Whether further bytes from the client belong to this request. */
  readonly awaitsBody: boolean;
  /** Takes body bytes. Returns the position where the next request starts. */
  onClientData(bytes: Buffer, from: number, to: number): number;
  /** All pending writes to the client have been handed to the kernel. */
  onClientFlushed(): void;
  onClientGone(): void;
  /** The timeout of the current step expired. */
  onDeadline(): void;
  /** Another handler threw. */
  onDefect(error: unknown): void;
}

/** The client connection as seen by its current request. */
export interface ClientSide {
  readonly writer: SocketWriter;
  readonly deadline: Deadline;
  /** The value of the response's `Connection` field; after `close` the connection takes no further request. */
  connectionAfter(kind: "response" | "last response"): "keep-alive" | "close";
  /** The client is slow to read the response; it is closed after `ms` milliseconds without progress. */
  watchFlush(ms: number): void;
  pauseBody(): void;
  resumeBody(): void;
  /** From the next read on, reads into a buffer that no other connection uses. */
  useOwnBuffer(): void;
  /** `written`: whether a pending write may still refer to the own buffer. */
  useSharedBuffer(written: "flushed" | "pending"): void;
  /** The response was sent completely. `body`: the request's body, which may be incomplete. */
  requestEnded(body: BodyParser | undefined): void;
  destroy(): void;
}
