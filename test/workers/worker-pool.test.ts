import { expect, it } from "vitest";
import { BackOff } from "../../src/workers/worker-pool.ts";

it("a worker that keeps ending is waited for twice as long each time, up to half a minute", () => {
  const backOff = new BackOff();
  const waits = Array.from({ length: 11 }, () => backOff.next(0));
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
});

it("one that served for a minute begins anew", () => {
  const backOff = new BackOff();
  expect([backOff.next(0), backOff.next(59_999), backOff.next(60_000), backOff.next(0)]).toEqual([100, 200, 100, 200]);
});
