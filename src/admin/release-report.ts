import type { ReleaseSpec } from "../decide/release.ts";
import type { ReleaseCells } from "../observe/cells.ts";
import { weightRatios } from "../observe/weight-ratios.ts";

const minuteMs = 60_000;

/** What was decided in the last minutes, in steps of ten seconds. */
export interface Observed {
  readonly decisions: number;
  /** Of the release's decisions, 0 to 1; null where there were none, since none is not a share of zero. */
  readonly share: number | null;
}

export interface VersionReport {
  readonly version: string;
  /** What the split says, 0 to 1; null where the release has no split. */
  readonly configuredShare: number | null;
  readonly lastMinute: Observed;
  readonly lastFiveMinutes: Observed;
}

/** One release, as `/api/releases` shows it. Counts are of versions assigned, in this process, since it started. */
export interface ReleaseReport {
  readonly release: string;
  readonly versions: readonly VersionReport[];
  readonly rules: readonly { readonly rule: string; readonly hits: number }[];
  readonly pinFlips: number;
  readonly pinsRejected: Readonly<Record<string, number>>;
}

/** `nowMs` is the clock that the decisions were counted by. */
export function reportRelease(
  spec: Pick<ReleaseSpec, "name" | "versions" | "split">,
  cells: ReleaseCells,
  nowMs: number,
): ReleaseReport {
  const configured = new Map(Array.from(weightRatios([spec]), ({ version, ratio }) => [version, ratio]));
  const lastMinute = observed(cells, minuteMs, nowMs);
  const lastFiveMinutes = observed(cells, 5 * minuteMs, nowMs);
  const nothing: Observed = { decisions: 0, share: null };
  return {
    release: spec.name,
    versions: spec.versions.map((version) => ({
      version,
      configuredShare: configured.get(version) ?? null,
      lastMinute: lastMinute.get(version) ?? nothing,
      lastFiveMinutes: lastFiveMinutes.get(version) ?? nothing,
    })),
    rules: Array.from(cells.ruleHits, ([rule, hits]) => ({ rule, hits: hits.value })),
    pinFlips: cells.pinFlips.value,
    pinsRejected: Object.fromEntries(Object.entries(cells.pinsRejected).map(([cause, cell]) => [cause, cell.value])),
  };
}

function observed(cells: ReleaseCells, spanMs: number, nowMs: number): ReadonlyMap<string, Observed> {
  const totals = Array.from(cells.versions, ([version, { window }]) => ({
    version,
    decisions: window.total(spanMs, nowMs),
  }));
  const sum = totals.reduce((total, { decisions }) => total + decisions, 0);
  return new Map(
    totals.map(({ version, decisions }) => [version, { decisions, share: sum === 0 ? null : decisions / sum }]),
  );
}
