import { expect, it } from "vitest";
import { foldedTrail } from "../../src/dashboard/pages/explain/trail.ts";

const steps = (length: number) => Array.from({ length }, (_, index) => index);

it("a trail of a hundred steps is shown whole", () => {
  expect(foldedTrail(steps(100))).toEqual({ first: steps(100), hidden: [], last: [] });
});

it("a longer one keeps its beginning and its end, and loses none", () => {
  const { first, hidden, last } = foldedTrail(steps(1_010));
  expect([first.length, hidden.length, last.length]).toEqual([40, 910, 60]);
  expect([...first, ...hidden, ...last]).toEqual(steps(1_010));
});
