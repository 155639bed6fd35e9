import type { Point, SeriesBody, TickBody } from "../../../../admin/live/live-bodies.ts";

export interface Sides {
  readonly baseline: string | null;
  readonly candidate: string | null;
}

type Points = readonly (Point | null)[];

/** What the charts need of a release's history: equal slots of time, the oldest first. */
export interface ChartSlots {
  readonly slotMs: number;
  /** The start of the newest slot. */
  readonly newestMs: number;
  readonly baseline: Points;
  readonly candidate: Points;
  /** Requests of all versions; null where it is not known whether there were any. */
  readonly totals: readonly (number | null)[];
}

/** Each a column of a chart: null is a gap. */
type Column = readonly (number | null)[];

export interface ChartColumns {
  /** Seconds since the Unix epoch. */
  readonly times: readonly number[];
  /** Of the baseline and of the candidate. */
  readonly requests: readonly [Column, Column];
  readonly failed: readonly [Column, Column];
  readonly p95: readonly [Column, Column];
  /** The candidate's share of requests as configured and as observed. */
  readonly share: readonly [configured: Column, observed: Column];
}

/** A longer hole is asked for again. */
const mostMissing = 3;

export function slotsOf({ slotMs, newestMs, versions }: SeriesBody, { baseline, candidate }: Sides): ChartSlots {
  const all = Object.values(versions);
  const length = all.reduce((most, points) => Math.max(most, points.length), 0);
  const nothing: Points = Array.from({ length }, () => null);
  const sums = Array.from({ length }, (_, index) => all.reduce((sum, points) => sum + (points[index]?.[0] ?? 0), 0));
  const first = sums.findIndex((sum) => sum > 0);
  return {
    slotMs,
    newestMs,
    baseline: versions[baseline ?? ""] ?? nothing,
    candidate: versions[candidate ?? ""] ?? nothing,
    // Before the first request there may have been no process.
    totals: sums.map((sum, index) => (first === -1 || index < first ? null : sum)),
  };
}

/** The series without its newest slot, which is still being filled. */
export function withoutNewest(series: SeriesBody): SeriesBody {
  const versions = Object.fromEntries(
    Object.entries(series.versions).map(([version, points]) => [version, points.slice(0, -1)]),
  );
  return { ...series, newestMs: series.newestMs - series.slotMs, versions };
}

/** With one more second, as long as before; undefined if too much is missing between them. */
export function appended(
  slots: ChartSlots,
  { atMs, releases }: TickBody,
  release: string,
  { baseline, candidate }: Sides,
): ChartSlots | undefined {
  const steps = Math.round((atMs - slots.newestMs) / slots.slotMs);
  if (steps <= 0) return slots;
  if (steps > mostMissing) return undefined;
  const versions = releases[release]?.versions ?? {};
  const total = Object.values(versions).reduce((sum, { point }) => sum + (point?.[0] ?? 0), 0);
  const missing = Array.from({ length: steps - 1 }, () => null);
  const moved = <T>(column: readonly (T | null)[], newest: T | null) => [...column.slice(steps), ...missing, newest];
  return {
    slotMs: slots.slotMs,
    newestMs: slots.newestMs + steps * slots.slotMs,
    baseline: moved(slots.baseline, versions[baseline ?? ""]?.point ?? null),
    candidate: moved(slots.candidate, versions[candidate ?? ""]?.point ?? null),
    totals: moved(slots.totals, total),
  };
}

const fewestSlots = 60;

/** Without what was before the first request, as of a process that has just started; a little is left. */
export function sinceFirst(slots: ChartSlots): ChartSlots {
  const first = slots.totals.findIndex((total) => total !== null);
  const start = Math.min(first - 1, slots.totals.length - fewestSlots);
  if (start <= 0) return slots;
  const { baseline, candidate, totals } = slots;
  return {
    ...slots,
    baseline: baseline.slice(start),
    candidate: candidate.slice(start),
    totals: totals.slice(start),
  };
}

export function columnsOf({ slotMs, newestMs, baseline, candidate, totals }: ChartSlots): ChartColumns {
  const perSecond = 1_000 / slotMs;
  const both = (read: (points: Points) => Column): [Column, Column] => [read(baseline), read(candidate)];
  return {
    times: totals.map((_, index) => (newestMs - (totals.length - 1 - index) * slotMs) / 1_000),
    requests: both((points) =>
      totals.map((total, index) => (total === null ? null : (points[index]?.[0] ?? 0) * perSecond)),
    ),
    failed: both((points) => points.map((point) => (point === null || point[0] === 0 ? null : point[1] / point[0]))),
    p95: both((points) => points.map((point) => point?.[3] ?? null)),
    share: [
      candidate.map((point) => point?.[5] ?? null),
      totals.map((total, index) => (total === null || total === 0 ? null : (candidate[index]?.[0] ?? 0) / total)),
    ],
  };
}
