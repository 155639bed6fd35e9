/**
 * What a version did in one slot of time. Failed: answered with 5xx, or with a gRPC status that stands for one.
 * Durations are null without requests; the share is null without a split.
 */
export type Point = readonly [
  requests: number,
  failed: number,
  p50Ms: number | null,
  p95Ms: number | null,
  p99Ms: number | null,
  configuredShare: number | null,
];

/** Points of equal slots of time, the oldest first; null where the version had no requests, and before the process. */
export interface SeriesBody {
  readonly slotMs: number;
  /** The start of the newest slot, in milliseconds since the Unix epoch. */
  readonly newestMs: number;
  readonly versions: Readonly<Record<string, readonly (Point | null)[]>>;
}

/** A quantile of durations, with the 95 % interval that the count of requests leaves. */
export type QuantileBody = readonly [ms: number, lowMs: number, highMs: number];

/** Slots of ten seconds; the newest one as far as it is. */
export interface SummaryBody {
  /** The time covered: less than requested if the process is younger or was suspended. */
  readonly spanMs: number;
  readonly requests: number;
  readonly failed: number;
  readonly p50: QuantileBody | null;
  readonly p95: QuantileBody | null;
  readonly p99: QuantileBody | null;
}

export type RecentSlot = readonly [requests: number, failed: number];

/** The last five minutes of all releases, in few figures: of each version 30 slots, the oldest first. */
export interface RecentBody {
  readonly slotMs: number;
  /** The start of the newest slot, in milliseconds since the Unix epoch. */
  readonly newestMs: number;
  readonly releases: Readonly<Record<string, Readonly<Record<string, readonly RecentSlot[]>>>>;
}
