import { describe, expect, it } from "vitest";
import { DecisionRows, decisionsPath, noFilter } from "../../src/dashboard/pages/decisions/decision-rows.ts";
import type { DecisionLine } from "../../src/observe/live/decision-tail.ts";

function line(atMs: number): DecisionLine {
  return {
    atMs,
    route: "shop",
    method: "GET",
    release: "shop",
    version: "stable",
    assigned: null,
    reason: "pin",
    rule: null,
    status: 200,
    error: null,
    durationMs: 1,
  };
}

describe("DecisionRows", () => {
  it("has the newest first, and counts", () => {
    const rows = new DecisionRows();
    rows.add({ lines: [line(1), line(2)], skipped: 5 });
    rows.add({ lines: [line(3)], skipped: 2 });
    expect(rows.shown.value.map(({ atMs, id }) => [atMs, id])).toEqual([
      [3, 3],
      [2, 2],
      [1, 1],
    ]);
    expect([rows.sampled.value, rows.skipped.value]).toEqual([3, 7]);
  });

  it("keeps 200", () => {
    const rows = new DecisionRows();
    for (let at = 0; at < 30; at++)
      rows.add({ lines: Array.from({ length: 10 }, (_, i) => line(10 * at + i)), skipped: 0 });
    expect(rows.shown.value).toHaveLength(200);
    expect(rows.shown.value[0]?.atMs).toBe(299);
    expect(rows.sampled.value).toBe(300);
  });

  it("stands still while paused, goes on counting, and shows what came when resumed", () => {
    const rows = new DecisionRows();
    rows.pause(true);
    rows.add({ lines: [line(1)], skipped: 1 });
    rows.add({ lines: [line(2)], skipped: 1 });
    expect(rows.shown.value).toEqual([]);
    expect([rows.isPaused.value, rows.waiting.value, rows.sampled.value, rows.skipped.value]).toEqual([true, 2, 2, 2]);
    rows.pause(false);
    expect(rows.shown.value.map(({ atMs }) => atMs)).toEqual([2, 1]);
    rows.pause(true);
    rows.add({ lines: [line(3)], skipped: 0 });
    expect([rows.shown.value.length, rows.waiting.value]).toEqual([2, 1]);
  });

  it("begins anew for another filter", () => {
    const rows = new DecisionRows();
    rows.add({ lines: [line(1)], skipped: 1 });
    rows.pause(true);
    rows.clear();
    expect([rows.shown.value.length, rows.sampled.value, rows.skipped.value, rows.isPaused.value]).toEqual([
      0,
      0,
      0,
      false,
    ]);
  });
});

describe("decisionsPath", () => {
  it("has what is chosen only", () => {
    expect(decisionsPath(noFilter)).toBe("/api/decisions");
    expect(decisionsPath({ ...noFilter, rule: "cn & 1.2", status: "5xx" })).toBe(
      "/api/decisions?rule=cn+%26+1.2&status=5xx",
    );
  });
});
