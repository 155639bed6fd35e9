import { describe, expect, test } from "vitest";
import { differenceEstimate, quantileEstimate, readingOf, shareEstimate } from "../../src/dashboard/statistics.ts";

describe("Wilson's interval of a share", () => {
  // Newcombe, Two-sided confidence intervals for the single proportion (1998), table I, method 3.
  const published = [
    { part: 81, all: 263, low: 0.2553, high: 0.3662 },
    { part: 15, all: 148, low: 0.0624, high: 0.1605 },
    { part: 0, all: 20, low: 0, high: 0.1611 },
    { part: 1, all: 29, low: 0.0061, high: 0.1718 },
  ];
  test.each(published)("$part of $all", ({ part, all, low, high }) => {
    const estimate = shareEstimate(part, all);
    expect(estimate?.value).toBe(part / all);
    expect(estimate?.low).toBeCloseTo(low, 4);
    expect(estimate?.high).toBeCloseTo(high, 4);
  });

  test("reaches the ends exactly, and is unknown without requests", () => {
    expect(shareEstimate(0, 7)?.low).toBe(0);
    expect(shareEstimate(7, 7)?.high).toBe(1);
    expect(shareEstimate(0, 0)).toBeUndefined();
  });
});

describe("the difference of two shares", () => {
  // Newcombe, Interval estimation for the difference between independent proportions (1998), table II, method 10.
  const published = [
    { first: { bad: 56, all: 70 }, second: { bad: 48, all: 80 }, low: 0.0524, high: 0.3339 },
    { first: { bad: 9, all: 10 }, second: { bad: 3, all: 10 }, low: 0.1705, high: 0.809 },
    { first: { bad: 5, all: 56 }, second: { bad: 0, all: 29 }, low: -0.0381, high: 0.1926 },
    { first: { bad: 0, all: 10 }, second: { bad: 0, all: 10 }, low: -0.2775, high: 0.2775 },
    { first: { bad: 10, all: 10 }, second: { bad: 0, all: 10 }, low: 0.6075, high: 1 },
  ];
  test.each(published)("$first.bad/$first.all against $second.bad/$second.all", ({ first, second, low, high }) => {
    const difference = differenceEstimate(shareEstimate(first.bad, first.all), shareEstimate(second.bad, second.all));
    expect(difference?.low).toBeCloseTo(low, 4);
    expect(difference?.high).toBeCloseTo(high, 4);
  });

  test("is unknown where one of them is", () => {
    expect(differenceEstimate(shareEstimate(1, 2), undefined)).toBeUndefined();
  });
});

test("quantiles come with the server's interval", () => {
  const difference = differenceEstimate(quantileEstimate([120, 110, 140]), quantileEstimate([100, 92, 103]));
  expect(difference?.value).toBe(20);
  expect(difference?.low).toBeCloseTo(20 - Math.hypot(10, 3));
  expect(difference?.high).toBeCloseTo(20 + Math.hypot(20, 8));
  expect(quantileEstimate(null)).toBeUndefined();
});

test("a difference is read by what its interval excludes", () => {
  expect(readingOf({ value: 2, low: 1, high: 3 })).toBe("worse");
  expect(readingOf({ value: -2, low: -3, high: -1 })).toBe("better");
  expect(readingOf({ value: 2, low: 0, high: 4 })).toBe("none-seen");
});
