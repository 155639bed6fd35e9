import { describe, expect, it } from "vitest";
import { countsOf, filtered } from "../../src/dashboard/pages/events/log-filter.ts";
import type { LogLine } from "../../src/dashboard/store/log-lines.ts";

const nothing = { release: null, by: null, detail: null, step: null, weight: null, phase: null };
const lines: readonly LogLine[] = [
  {
    ...nothing,
    id: 3,
    at: "2026-01-01T00:00:02Z",
    kind: "audit",
    type: "pause",
    level: "info",
    text: "paused",
    by: "token 3f9a",
  },
  {
    ...nothing,
    id: 2,
    at: "2026-01-01T00:00:01Z",
    kind: "config",
    type: "rejected",
    level: "error",
    text: "The file was rejected.",
    detail: "perch.yaml:3:7: bad weight",
  },
  {
    ...nothing,
    id: 1,
    at: "2026-01-01T00:00:00Z",
    kind: "rollout",
    type: "step",
    level: "info",
    text: "Step 2 of 5",
    release: "Shop",
  },
];
const ids = (found: readonly LogLine[]) => found.map(({ id }) => id);

describe("the log", () => {
  it("is counted by kind", () => {
    expect(countsOf(lines)).toEqual({ rollout: 1, config: 1, endpoint: 0, audit: 1 });
  });

  it("is the same list without a filter, so that nothing is drawn again", () => {
    expect(filtered(lines, new Set(), " ")).toBe(lines);
  });

  it.each([
    ["a kind", ["audit"], "", [3]],
    ["kinds together", ["audit", "rollout"], "", [3, 1]],
    ["a release in any case", [], "shop", [1]],
    ["words of the detail", [], "weight BAD", [2]],
    ["who did it", [], "3f9a", [3]],
    ["both", ["rollout"], "rejected", []],
  ] as const)("is filtered by %s", (_, kinds, text, wanted) => {
    expect(ids(filtered(lines, new Set(kinds), text))).toEqual(wanted);
  });
});
