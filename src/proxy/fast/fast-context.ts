import type { Gateway } from "../gateway.ts";
import type { Deadlines } from "./deadlines.ts";
import type { EventTurns } from "./event-turns.ts";
import type { HttpDate } from "./http-date.ts";
import type { ReadBuffers } from "./read-buffers.ts";
import type { RequestReader } from "./request-reader.ts";
import type { ResponseReader } from "./response-reader.ts";
import type { UpstreamPools } from "./upstream-pools.ts";

/** What all connections of the fast lane share. */
export interface FastContext {
  readonly gateway: Gateway;
  readonly pools: UpstreamPools;
  readonly buffers: ReadBuffers;
  readonly deadlines: Deadlines;
  readonly turns: EventTurns;
  readonly date: HttpDate;
  readonly requests: RequestReader;
  readonly responses: ResponseReader;
}
