import { expect, test } from "vitest";
import { isCutShort } from "../../src/dashboard/pages/release/spans.ts";

// A slot of ten seconds is counted as far as it is, so that a whole minute has 51 to 60 seconds behind it.
test.each([
  ["a minute whose newest slot has just begun", "minute", 51_000, false],
  ["a whole minute", "minute", 60_000, false],
  ["a process that has run for less", "minute", 50_000, true],
  ["whole five minutes", "fiveMinutes", 291_000, false],
  ["five minutes of which a slot was not counted", "fiveMinutes", 290_000, true],
] as const)("%s", (_what, name, countedMs, isShort) => {
  expect(isCutShort(name, countedMs)).toBe(isShort);
});
