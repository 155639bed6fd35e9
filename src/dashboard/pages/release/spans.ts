import type { SummaryBody } from "../../../admin/live/live-bodies.ts";
import { rate } from "../../format/numbers.ts";

/** The spans that the server sums up each second. */
export const spans = ["minute", "fiveMinutes"] as const;
export type SpanName = (typeof spans)[number];

export const spanMs: Readonly<Record<SpanName, number>> = { minute: 60_000, fiveMinutes: 300_000 };

export function perSecond(summary: SummaryBody | undefined): string {
  return rate(summary === undefined || summary.spanMs === 0 ? null : (1_000 * summary.requests) / summary.spanMs);
}
