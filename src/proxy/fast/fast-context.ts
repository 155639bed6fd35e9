import type { EventClock } from "../event-clock.ts";
import type { Gateway } from "../gateway.ts";
import type { Deadlines } from "./deadlines.ts";
import type { EventTurns } from "./event-turns.ts";
import type { HttpDate } from "./http-date.ts";
import type { ReadBuffers } from "./read-buffers.ts";
import type { RequestReader } from "./request-reader.ts";
import type { ResponseReader } from "./response-reader.ts";
import type { UpstreamPools } from "./upstream-pools.ts";

/** What connections to upstreams need, whichever listener's requests they carry: one for all listeners. */
export interface UpstreamContext {
  readonly clock: EventClock;
  readonly buffers: ReadBuffers;
  readonly deadlines: Deadlines;
  readonly turns: EventTurns;
}

/** What all connections of one listener's fast lane share. */
export interface FastContext extends UpstreamContext {
  readonly gateway: Gateway;
  readonly pools: UpstreamPools;
  readonly date: HttpDate;
  readonly requests: RequestReader;
  readonly responses: ResponseReader;
}
