import type { Weights } from "../../decide/release-spec.ts";
import type { Point, SeriesBody, SummaryBody } from "../../observe/live/traffic-bodies.ts";

export type { Point, QuantileBody, RecentBody, SeriesBody, SummaryBody } from "../../observe/live/traffic-bodies.ts";

/** `/api/history/<release>`. */
export interface HistoryBody {
  readonly release: string;
  readonly instance: string;
  /** 300 slots of 1 s. */
  readonly seconds: SeriesBody;
  /** 360 slots of 10 s; the newest one is still being filled. */
  readonly tens: SeriesBody;
}

export interface VersionTick {
  /** The last whole second. */
  readonly point: Point | null;
  readonly minute: SummaryBody;
  readonly fiveMinutes: SummaryBody;
  /** Of the release's drawn decisions of the last minute, as in `/api/releases`. */
  readonly share: number | null;
  readonly expectedShare: number | null;
  readonly decisions: number;
  readonly placed: number;
}

export interface ReleaseTick {
  readonly versions: Readonly<Record<string, VersionTick>>;
  /** Of the rules that were hit in the last second: all hits so far, and when the last one was. */
  readonly rules: Readonly<Record<string, readonly [hits: number, lastMs: number | null]>>;
  readonly pinFlips: number;
  readonly pinsRejected: number;
}

/** The `tick` events of `/api/live`. */
export interface TickBody {
  /** The start of the second that it covers. */
  readonly atMs: number;
  readonly releases: Readonly<Record<string, ReleaseTick>>;
}

export interface LiveRelease {
  readonly release: string;
  /** What names the unit: `attribute userId`, `client address`, or `pin`. */
  readonly unit: string;
  /** What is compared: those of the rollout; else the default of its service and the version with the next weight. */
  readonly baseline: string | null;
  readonly candidate: string | null;
  readonly versions: readonly { readonly version: string; readonly configuredShare: number | null }[];
  /** The first that matches decides. */
  readonly rules: readonly { readonly rule: string; readonly when: string; readonly use: string }[];
  readonly routes: readonly string[];
  /** Those of its routes. */
  readonly services: readonly string[];
  /** As the file has it. */
  readonly configuredSplit: Weights | null;
  /** Whether a rollout sets the weights, so that a split has no effect now. */
  readonly isDirected: boolean;
}
