import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketCount, durationBucketOf, quantileOf } from "../../src/observe/rollout/duration-buckets.ts";

function countsOf(durations: readonly number[]): number[] {
  const counts = Array.from({ length: bucketCount }, () => 0);
  for (const ms of durations) {
    const bucket = durationBucketOf(ms);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return counts;
}

describe("duration buckets", () => {
  it("bound every quantile from above by at most 3 %", () => {
    const duration = fc.double({ min: 0.1, max: 600_000, noNaN: true });
    const durations = fc.array(duration, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (some, q) => {
        const sorted = some.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? Number.NaN;
        const bound = quantileOf(countsOf(some), q);
        expect(bound).toBeGreaterThanOrEqual(exact);
        expect(bound).toBeLessThanOrEqual(exact * 1.03 * (1 + 1e-12));
      }),
    );
  });

  it("rise with the duration", () => {
    const ms = fc.double({ min: 0, max: 2_000_000, noNaN: true });
    fc.assert(
      fc.property(ms, ms, (a, b) => {
        expect(durationBucketOf(Math.min(a, b))).toBeLessThanOrEqual(durationBucketOf(Math.max(a, b)));
      }),
    );
  });

  it.each([
    ["nothing took any time", 0, 0],
    ["a clock went back", -5, 0],
    ["no duration is known", Number.NaN, 0],
    ["an hour", 3_600_000, bucketCount - 1],
    ["never", Number.POSITIVE_INFINITY, bucketCount - 1],
  ])("have a place where %s", (_, ms, bucket) => {
    expect(durationBucketOf(ms)).toBe(bucket);
  });

  it.each([
    ["nothing was counted", []],
    ["all counts are zero", countsOf([])],
    ["it is beyond the last bound", countsOf([3_600_000])],
  ])("say Infinity where %s", (_, counts) => {
    expect(quantileOf(counts, 0.95)).toBe(Number.POSITIVE_INFINITY);
  });
});
