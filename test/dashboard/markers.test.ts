import { expect, test } from "vitest";
import { markersOf } from "../../src/dashboard/pages/release/charts/markers.ts";
import type { LogLine } from "../../src/dashboard/store/log-lines.ts";

const line = (id: number, kind: LogLine["kind"], type: string, release: string | null): LogLine => ({
  ...{ id, at: new Date(id * 1_000).toISOString(), kind, type, level: "info", release, by: null, text: `line ${id}` },
  ...{ detail: null, step: null, weight: null, phase: null },
});

test("charts mark what happened to their release and to the configuration within their span", () => {
  const lines = [
    line(9, "rollout", "rolled-back", "shop"),
    line(8, "rollout", "step", "other"),
    line(7, "config", "reloaded", null),
    line(6, "endpoint", "ejected", "shop"),
    line(5, "rollout", "step", "shop"),
    line(4, "rollout", "paused", "shop"),
  ];
  const markers = markersOf(lines, "shop", 5_000).map(({ letter, atMs, isBad }) => [letter, atMs, isBad]);
  expect(markers).toEqual([
    ["B", 9_000, true],
    ["R", 7_000, false],
    ["S", 5_000, false],
  ]);
});
