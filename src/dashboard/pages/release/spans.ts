import type { SummaryBody } from "../../../admin/live/live-bodies.ts";
import { rate } from "../../format/numbers.ts";

/** The spans that the server sums up each second. */
export const spans = ["minute", "fiveMinutes"] as const;
export type SpanName = (typeof spans)[number];

const spanMs: Readonly<Record<SpanName, number>> = { minute: 60_000, fiveMinutes: 300_000 };
/** Summed up are slots of this length, and the newest one as far as it is. */
const slotMs = 10_000;

/** Whether part of the time range has no data: Perch is younger, or was suspended. */
export function isCutShort(name: SpanName, countedMs: number): boolean {
  return countedMs <= spanMs[name] - slotMs;
}

export function perSecond(summary: SummaryBody | undefined): string {
  return rate(summary === undefined || summary.spanMs === 0 ? null : (1_000 * summary.requests) / summary.spanMs);
}
