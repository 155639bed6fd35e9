import { expect, it } from "vitest";
import { inSlices } from "../../src/app/slices.ts";

/** Takes `ms` in each step. */
function* steps(count: number, ms: number): Generator<undefined, string> {
  for (let step = 0; step < count; step++) {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs);
    yield;
  }
  return "done";
}

it("steps run one after the other, and others between them", async () => {
  let turns = 0;
  const count = () => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  expect(await inSlices(steps(10, 3))).toBe("done");
  clearImmediate(timer);
  expect(turns).toBeGreaterThanOrEqual(9);
});

it("short steps share a turn", async () => {
  let turns = 0;
  const count = () => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  await inSlices(steps(50, 0));
  clearImmediate(timer);
  expect(turns).toBeLessThan(10);
});

it("rejects with the error of a step", async () => {
  // biome-ignore lint/correctness/useYield: it fails before.
  const failing = function* (): Generator<undefined, void> {
    throw new Error("a fault of the test");
  };
  await expect(inSlices(failing())).rejects.toThrow("a fault of the test");
});
