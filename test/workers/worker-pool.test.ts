import { expect, it } from "vitest";
import { BackOff } from "../../src/workers/worker-pool.ts";

it("the back-off doubles with each exit, up to 30 s", () => {
  const backOff = new BackOff();
  const waits = Array.from({ length: 11 }, () => backOff.next(0));
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
});

it("the back-off starts over after a worker has served for a minute", () => {
  const backOff = new BackOff();
  expect([backOff.next(0), backOff.next(59_999), backOff.next(60_000), backOff.next(0)]).toEqual([100, 200, 100, 200]);
});
