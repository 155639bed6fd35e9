import { describe, expect, test } from "vitest";
import { TimeText } from "../../src/observe/log.ts";

describe("the time of a log line", () => {
  const time = new TimeText();

  // One instance for all: what it keeps of a second must not leak into another.
  test.each([
    { nowMs: 0, wanted: "1970-01-01T00:00:00.000Z" },
    { nowMs: 999.9, wanted: "1970-01-01T00:00:00.999Z" },
    { nowMs: 1_000, wanted: "1970-01-01T00:00:01.000Z" },
    { nowMs: 1_005, wanted: "1970-01-01T00:00:01.005Z" },
    { nowMs: 1_767_225_599_999, wanted: "2025-12-31T23:59:59.999Z" },
    { nowMs: 1_767_225_600_000, wanted: "2026-01-01T00:00:00.000Z" },
    { nowMs: 1_005, wanted: "1970-01-01T00:00:01.005Z" },
  ])("is $wanted at $nowMs", ({ nowMs, wanted }) => {
    expect(time.of(nowMs)).toBe(wanted);
  });
});
