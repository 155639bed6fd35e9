import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bucketBounds, Histogram } from "../../src/observe/histogram.ts";

const filled = (...values: readonly number[]): Histogram => {
  const histogram = new Histogram();
  for (const value of values) histogram.observe(value);
  return histogram;
};

/** The index of the first bucket that counts it. */
const bucketOf = (seconds: number): number => filled(seconds).cumulative().indexOf(1);

describe("a histogram", () => {
  test.each([
    { about: "the fastest answer", seconds: 0.0001, bound: 0.0005 },
    { about: "a value on a bound, which Prometheus counts as below it", seconds: 0.0005, bound: 0.0005 },
    { about: "a value just above a bound", seconds: 0.000500001, bound: 0.001 },
    { about: "a common answer", seconds: 0.042, bound: 0.05 },
    { about: "a value on the last bound", seconds: 30, bound: 30 },
    { about: "longer than every bound", seconds: 30.001, bound: undefined },
    { about: "no time at all", seconds: 0, bound: 0.0005 },
  ])("puts $about into the bucket up to $bound", ({ seconds, bound }) => {
    expect(bucketBounds[bucketOf(seconds)]).toBe(bound);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "counts %d as zero, so that its sum stays a number",
    (impossible) => {
      const histogram = filled(1, impossible);
      expect(histogram.sum).toBe(1);
      expect(histogram.count).toBe(2);
    },
  );

  test("agrees with a count made the slow way", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 60, noNaN: true }), { maxLength: 50 }), (values) => {
        const histogram = filled(...values);
        const wanted = [...bucketBounds, Number.POSITIVE_INFINITY].map(
          (bound) => values.filter((value) => value <= bound).length,
        );
        expect(histogram.cumulative()).toEqual(wanted);
        expect(histogram.count).toBe(values.length);
        expect(histogram.sum).toBeCloseTo(
          values.reduce((sum, value) => sum + value, 0),
          6,
        );
      }),
      { numRuns: 200 },
    );
  });
});
