import fc from "fast-check";
import { expect, test } from "vitest";
import { slopeOf } from "./slope.ts";

test.each([
  { what: "no points", ys: [], slope: 0 },
  { what: "one point", ys: [5], slope: 0 },
  { what: "a level", ys: [4, 4, 4, 4], slope: 0 },
  { what: "a rise", ys: [0, 2, 4, 6], slope: 2 },
  { what: "a level with one spike", ys: [3, 3, 90, 3, 3], slope: 0 },
])("the slope of $what is $slope", ({ ys, slope }) => {
  expect(slopeOf(ys.map((y, x) => ({ x, y })))).toBe(slope);
});

test("a line has its slope, although a tenth of its points are off it", () => {
  fc.assert(
    fc.property(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -1e6, max: 1e6 }), (slope, spike) => {
      const points = Array.from({ length: 20 }, (_, x) => ({ x, y: slope * x }));
      points[7] = { x: 7, y: spike };
      points[13] = { x: 13, y: -spike };
      expect(slopeOf(points)).toBe(slope);
    }),
  );
});
