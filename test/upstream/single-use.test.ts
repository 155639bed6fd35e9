import { expect, it } from "vitest";
import { SingleUse } from "../../src/upstream/single-use.ts";

it("an endpoint's connections carry one request each for ten minutes from the last unsolicited response", () => {
  const singleUse = new SingleUse();
  expect(singleUse.isActive(0)).toBe(false);
  expect(singleUse.unsolicited(1_000)).toBe(true);
  expect(singleUse.unsolicited(2_000)).toBe(false);
  expect([601_999, 602_000].map((nowMs) => singleUse.isActive(nowMs))).toEqual([true, false]);
  singleUse.prolong(602_000);
  expect(singleUse.isActive(602_000)).toBe(false);
  expect(singleUse.unsolicited(700_000)).toBe(true);
  singleUse.prolong(1_000_000);
  expect([1_599_999, 1_600_000].map((nowMs) => singleUse.isActive(nowMs))).toEqual([true, false]);
});
