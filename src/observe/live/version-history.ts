import { quantileOf, quantileWithInterval } from "./quantile.ts";
import { SlotRing } from "./slot-ring.ts";
import type { Point, RecentSlot, SummaryBody } from "./traffic-bodies.ts";
import { bucketsAt, countsLength, failedAt, requestsAt } from "./traffic-counts.ts";

export const secondsKept = 300;
export const tensKept = 360;
/** Slots of ten seconds: five minutes. */
export const summarySlotsKept = 30;

const pointWidth = 6;

/** What a version did in the last hour, in about 18 KB: made when its first request is counted. */
export class VersionHistory {
  readonly #seconds: SlotRing;
  readonly #tens: SlotRing;
  /** Counts as of `TrafficCounts`, for quantiles over several slots. */
  readonly #counts: SlotRing;

  constructor(second: number) {
    const ten = Math.floor(second / 10);
    this.#seconds = new SlotRing(secondsKept, pointWidth, second);
    this.#tens = new SlotRing(tensKept, pointWidth, ten);
    this.#counts = new SlotRing(summarySlotsKept, countsLength, ten);
  }

  /** `counted`: in this second; undefined if nothing is known of it. */
  record(second: number, counted: Float64Array | undefined, configuredShare: number | null): void {
    const ten = Math.floor(second / 10);
    this.#seconds.moveTo(second);
    this.#tens.moveTo(ten);
    this.#counts.moveTo(ten);
    if (counted === undefined || (counted[requestsAt] ?? 0) === 0) return;
    const soFar = this.#counts.newest;
    add(counted, soFar);
    write(this.#seconds.newest, counted, configuredShare);
    write(this.#tens.newest, soFar, configuredShare);
  }

  /** Null without requests. */
  get newest(): Point | null {
    return read(this.#seconds.newest);
  }

  /** The oldest first. */
  seconds(): readonly (Point | null)[] {
    return Array.from(this.#seconds.last(), read);
  }

  /** The oldest first. */
  tens(): readonly (Point | null)[] {
    return Array.from(this.#tens.last(), read);
  }

  /** Requests and failed ones of the last five minutes, in slots of ten seconds, the oldest first. */
  recent(): readonly RecentSlot[] {
    return Array.from(this.#counts.last(), (counts) => [counts[requestsAt] ?? 0, counts[failedAt] ?? 0]);
  }

  /** Of the last slots of ten seconds, whose time is `spanMs`. */
  summary(slots: number, spanMs: number): SummaryBody {
    const sums = new Float64Array(countsLength);
    for (const counts of this.#counts.last(slots)) if ((counts[requestsAt] ?? 0) > 0) add(counts, sums);
    return summaryOf(sums, spanMs);
  }
}

/** Of counts as of `TrafficCounts`. */
export function summaryOf(counts: Float64Array, spanMs: number): SummaryBody {
  const buckets = counts.subarray(bucketsAt);
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantileWithInterval(buckets, q));
  return {
    spanMs,
    requests: counts[requestsAt] ?? 0,
    failed: counts[failedAt] ?? 0,
    p50: p50 ?? null,
    p95: p95 ?? null,
    p99: p99 ?? null,
  };
}

/** By index: with an iterator, two hundred versions would take milliseconds of each second. */
function add(counts: Float64Array | Float32Array, sums: Float64Array | Float32Array): void {
  for (let at = 0; at < counts.length; at++) sums[at] = (sums[at] ?? 0) + (counts[at] ?? 0);
}

function write(point: Float32Array, counts: Float64Array | Float32Array, configuredShare: number | null): void {
  const buckets = counts.subarray(bucketsAt);
  const quantiles = [0.5, 0.95, 0.99].map((q) => quantileOf(buckets, q) ?? 0);
  point.set([counts[requestsAt] ?? 0, counts[failedAt] ?? 0, ...quantiles, configuredShare ?? Number.NaN]);
}

function read(point: Float32Array): Point | null {
  const [requests = 0, failed = 0, p50 = 0, p95 = 0, p99 = 0, share = Number.NaN] = point;
  if (requests === 0) return null;
  return [requests, failed, rounded(p50), rounded(p95), rounded(p99), Number.isNaN(share) ? null : rounded(share)];
}

/** What a single-precision number can tell, without the digits that it makes up. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
