import type { Socket } from "node:net";
import type { CachedClock } from "../cached-clock.ts";
import type { DownstreamInfo } from "../downstream.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { RequestParser } from "./request-parser.ts";
import type { ResponseParser } from "./response-parser.ts";
import type { HttpDate } from "./response-writer.ts";
import type { ReadBuffers } from "./socket-writer.ts";
import type { LoopTicks, TimerWheel } from "./timer-wheel.ts";
import type { FastUpstreamPools } from "./upstream-pool.ts";

/** What connections to upstreams need, whichever listener's requests they carry: one for all listeners. */
export interface UpstreamContext {
  readonly clock: CachedClock;
  readonly buffers: ReadBuffers;
  readonly deadlines: TimerWheel;
  readonly turns: LoopTicks;
}

/** What all connections of one listener's fast lane share. */
export interface FastContext extends UpstreamContext {
  readonly context: ProxyContext;
  readonly pools: FastUpstreamPools;
  readonly date: HttpDate;
  readonly requests: RequestParser;
  readonly responses: ResponseParser;
}

/** What a connection asks of the lane that it belongs to. */
export interface ConnectionOwner {
  /** True once it waits for its connections to end: none is kept behind its answer. */
  readonly isClosing: boolean;
  /** Gives the connection to the standard lane, with what was read and not understood. */
  handOver(socket: Socket, downstream: DownstreamInfo): void;
  closed(connection: ClientConnection): void;
}

/** The request that a connection is answering; hears all that happens to it. */
export interface AnsweredRequest {
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
