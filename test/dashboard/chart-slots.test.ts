import { describe, expect, test } from "vitest";
import type { Point, SeriesBody, TickBody, VersionTick } from "../../src/admin/live/live-bodies.ts";
import {
  appended,
  columnsOf,
  sinceFirst,
  slotsOf,
  withoutNewest,
} from "../../src/dashboard/pages/release/charts/chart-slots.ts";

const sides = { baseline: "stable", candidate: "canary" };
const point = (requests: number, failed = 0, share = 0.1): Point => [requests, failed, 5, 20, 40, share];

const series: SeriesBody = {
  slotMs: 1_000,
  newestMs: 10_000,
  versions: {
    stable: [null, point(9), null, point(18, 9)],
    canary: [null, point(1), null, point(2)],
    other: [null, null, point(10), null],
  },
};

function tickAt(atMs: number, points: Readonly<Record<string, Point | null>>): TickBody {
  const nothing = { spanMs: 0, requests: 0, failed: 0, p50: null, p95: null, p99: null };
  const versions = Object.fromEntries(
    Object.entries(points).map(([version, each]): [string, VersionTick] => {
      const observed = { share: null, expectedShare: null, decisions: 0, placed: 0 };
      return [version, { point: each, minute: nothing, fiveMinutes: nothing, ...observed }];
    }),
  );
  return { atMs, releases: { shop: { versions, rules: {}, pinFlips: 0, pinsRejected: 0 } } };
}

describe("columns of a history", () => {
  const columns = columnsOf(slotsOf(series, sides));

  test("end with the newest slot", () => {
    expect(columns.times).toEqual([7, 8, 9, 10]);
  });

  test("count no requests where others had some, and leave a gap before the first", () => {
    expect(columns.requests).toEqual([
      [null, 9, 0, 18],
      [null, 1, 0, 2],
    ]);
    expect(columns.share[1]).toEqual([null, 0.1, 0, 0.1]);
  });

  test("know nothing of answers that there were not", () => {
    expect(columns.failed[0]).toEqual([null, 0, null, 0.5]);
    expect(columns.p95[1]).toEqual([null, 20, null, 20]);
    expect(columns.share[0]).toEqual([null, 0.1, null, 0.1]);
  });

  test("of slots of ten seconds are per second", () => {
    expect(columnsOf(slotsOf({ ...series, slotMs: 10_000 }, sides)).requests[0][3]).toBe(1.8);
  });

  test("a slot that goes on is left out", () => {
    const shorter = columnsOf(slotsOf(withoutNewest(series), sides));
    expect(shorter.times).toEqual([7, 8, 9]);
  });
});

describe("of a process that has just started", () => {
  const young = (before: number, since: number) => {
    const points = [...Array.from({ length: before }, () => null), ...Array.from({ length: since }, () => point(9))];
    return columnsOf(sinceFirst(slotsOf({ ...series, versions: { stable: points } }, sides)));
  };

  test("charts begin right before the first request", () => {
    expect(young(200, 100).requests[0].slice(0, 3)).toEqual([null, 9, 9]);
    expect(young(200, 100).times.at(-1)).toBe(10);
  });

  test("charts show a minute at least", () => {
    expect(young(290, 10).times).toHaveLength(60);
  });

  test("nothing is left out where nothing is known, or all is", () => {
    expect(young(300, 0).times).toHaveLength(300);
    expect(young(0, 300).times).toHaveLength(300);
  });
});

describe("a new second", () => {
  const slots = slotsOf(series, sides);

  test("takes the place of the oldest", () => {
    const next = appended(slots, tickAt(11_000, { stable: point(4), canary: null }), "shop", sides);
    expect(next?.newestMs).toBe(11_000);
    expect(next && columnsOf(next).requests).toEqual([
      [9, 0, 18, 4],
      [1, 0, 2, 0],
    ]);
  });

  test("leaves a gap for one that was missed", () => {
    const next = appended(slots, tickAt(12_000, { stable: point(4) }), "shop", sides);
    expect(next && columnsOf(next).requests[0]).toEqual([0, 18, null, 4]);
  });

  test("that is known changes nothing", () => {
    expect(appended(slots, tickAt(10_000, {}), "shop", sides)).toBe(slots);
  });

  test("long after the last one asks for the history", () => {
    expect(appended(slots, tickAt(60_000, {}), "shop", sides)).toBeUndefined();
  });
});
