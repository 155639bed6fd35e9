import { expect, test } from "vitest";
import { lonelyPoints } from "../../src/dashboard/pages/release/charts/lonely-points.ts";

test.each([
  ["between gaps", [null, 1, null, 2, 3, null], [1]],
  ["at both ends", [0, null, 2], [0, 2]],
  ["none in a line", [1, 2, 3], []],
  ["nothing", [], []],
])("points that no line shows: %s", (_where, values, lonely) => {
  expect(lonelyPoints(values)).toEqual(lonely);
});
