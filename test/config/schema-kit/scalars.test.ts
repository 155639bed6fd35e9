import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration, parseSize } from "../../../src/config/schema-kit/scalars.ts";

describe("durations", () => {
  test.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["7d", 604_800_000],
    ["0s", 0],
  ])("%s is %i milliseconds", (text, wanted) => {
    expect(parseDuration(text)).toBe(wanted);
  });

  test.each(["", "30", "s", "1 s", "-1s", "1S", "30m1h", "1s1s", "1e3s", ".5s", "1week", `${"9".repeat(50)}s`])(
    "%s is not a duration",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test.each([
    [1, "1ms"],
    [1_500, "1500ms"],
    [60_000, "1m"],
    [90_000, "90s"],
    [2_592_000_000, "30d"],
  ])("%i milliseconds are formatted as %s", (ms, wanted) => {
    expect(formatDuration(ms)).toBe(wanted);
  });
});

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["100", 100],
    ["1B", 1],
    ["64KiB", 65_536],
    ["1.5KiB", 1_536],
    ["1KB", 1_000],
    ["10MiB", 10_485_760],
    ["2GB", 2_000_000_000],
  ])("%s is %i bytes", (text, wanted) => {
    expect(parseSize(text)).toBe(wanted);
  });

  test.each(["", "KiB", "1kb", "1 KiB", "-1", "0.3", "1KiBs", "99999999GiB"])("%s is not a size", (text) => {
    expect(parseSize(text)).toBeUndefined();
  });
});
