import { describe, expect, it } from "vitest";
import { RetryBudget } from "../../src/upstream/retry-budget.ts";

/** How many retries are granted of those asked for. */
const granted = (budget: RetryBudget, asked: number, nowMs: number) =>
  Array.from({ length: asked }, () => budget.spend(nowMs)).filter(Boolean).length;

describe("a retry budget", () => {
  it("grants three a second without any traffic, and saves none of them", () => {
    const budget = new RetryBudget(0.2);
    expect(granted(budget, 10, 1_000)).toBe(3);
    expect(granted(budget, 10, 1_334)).toBe(1);
    expect(granted(budget, 10, 60_000)).toBe(3);
  });

  it("grants its share of the requests besides", () => {
    const budget = new RetryBudget(0.25);
    for (let i = 0; i < 100; i++) budget.earn();
    expect(granted(budget, 100, 1_000)).toBe(25 + 3);
  });

  it("lets a service that fails every request cause no more than its share", () => {
    const budget = new RetryBudget(0.5);
    let retries = 0;
    for (let i = 0; i < 10_000; i++) {
      budget.earn();
      if (budget.spend(1_000)) retries++;
    }
    expect(retries).toBeGreaterThanOrEqual(5_000);
    expect(retries).toBeLessThanOrEqual(5_003);
  });

  it("saves a hundred at most", () => {
    const budget = new RetryBudget(1);
    for (let i = 0; i < 10_000; i++) budget.earn();
    expect(granted(budget, 1_000, 1_000)).toBe(103);
  });

  it("is not led astray by a clock that goes back", () => {
    const budget = new RetryBudget(0.2);
    expect([granted(budget, 5, 10_000), granted(budget, 5, 0), granted(budget, 5, 1_000)]).toEqual([3, 0, 3]);
  });
});
