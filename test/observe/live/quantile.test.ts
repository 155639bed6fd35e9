import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketBounds, bucketCount, Histogram } from "../../../src/observe/histogram.ts";
import { quantileOf, quantileWithInterval } from "../../../src/observe/live/quantile.ts";

const edgesMs = [0, ...bucketBounds.map((seconds) => seconds * 1_000)];

function bucketsOf(durationsMs: readonly number[]): Float64Array {
  const histogram = new Histogram();
  for (const ms of durationsMs) histogram.observe(ms / 1_000);
  const buckets = new Float64Array(bucketCount);
  histogram.addTo(buckets, 0);
  return buckets;
}

/** The bucket that a duration is counted in. */
function bucketOf(ms: number): readonly [low: number, high: number] {
  const above = edgesMs.findIndex((edge, at) => at > 0 && ms <= edge);
  return [edgesMs[above - 1] ?? 0, edgesMs[above] ?? 0];
}

const durations = fc.array(fc.double({ min: 0.01, max: 29_000, noNaN: true }), { minLength: 1, maxLength: 300 });
const share = fc.constantFrom(0.5, 0.95, 0.99);

describe("a quantile of a histogram", () => {
  it("lies in the bucket of the sorted durations' quantile", () => {
    fc.assert(
      fc.property(durations, share, (all, q) => {
        const sorted = all.toSorted((one, other) => one - other);
        const [low, high] = bucketOf(sorted[Math.max(0, Math.ceil(all.length * q - 1e-9) - 1)] ?? 0);
        const found = quantileOf(bucketsOf(all), q) ?? Number.NaN;
        expect(found).toBeGreaterThanOrEqual(low - 0.001);
        expect(found).toBeLessThanOrEqual(high + 0.001);
      }),
    );
  });

  it("is within two percent of the truth where durations are spread evenly", () => {
    const all = Array.from({ length: 10_000 }, (_, at) => (at + 1) / 10);
    for (const q of [0.5, 0.95, 0.99]) expect((quantileOf(bucketsOf(all), q) ?? 0) / (q * 1_000)).toBeCloseTo(1, 2);
  });

  it("is the last bound where durations are above all bounds", () => {
    expect(quantileOf(bucketsOf([40_000, 50_000]), 0.5)).toBe(30_000);
  });

  it("is null without durations", () => {
    expect([quantileOf(new Float64Array(bucketCount), 0.5), quantileWithInterval([], 0.99)]).toEqual([null, null]);
  });
});

describe("the interval of a quantile", () => {
  it("contains the quantile and stays within the buckets that were counted", () => {
    fc.assert(
      fc.property(durations, share, (all, q) => {
        const [ms, low, high] = quantileWithInterval(bucketsOf(all), q) ?? [Number.NaN, Number.NaN, Number.NaN];
        expect([low <= ms, ms <= high]).toEqual([true, true]);
        expect(low).toBeGreaterThanOrEqual(bucketOf(Math.min(...all))[0]);
        expect(high).toBeLessThanOrEqual(bucketOf(Math.max(...all))[1]);
      }),
    );
  });

  it("has the ranks n q ± 1.96 √(n q (1 - q))", () => {
    // One bucket from 500 to 1000 ms: rank r of 100 is at 500 + 5 r.
    const buckets = bucketsOf(Array.from({ length: 100 }, () => 700));
    expect(quantileWithInterval(buckets, 0.5)).toEqual([750, 701, 799]);
  });

  it("ends with the largest bucket where there are few durations", () => {
    expect(quantileWithInterval(bucketsOf([700, 700]), 0.99)).toEqual([995, 926.051, 1_000]);
  });

  it("covers the median of what the durations are drawn from about 95 times of 100", () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const covered = Array.from({ length: 1_000 }, () => {
      const drawn = Array.from({ length: 200 }, () => 500 + 500 * random());
      const [, low, high] = quantileWithInterval(bucketsOf(drawn), 0.5) ?? [0, 0, 0];
      return low <= 750 && 750 <= high;
    });
    expect(covered.filter(Boolean).length).toBeGreaterThan(930);
  });
});
