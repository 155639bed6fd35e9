import { describe, expect, it } from "vitest";
import { RetryBudget } from "../../src/upstream/retry-budget.ts";

/** How many of the requested retries are granted. */
const granted = (budget: RetryBudget, requested: number, nowMs: number) =>
  Array.from({ length: requested }, () => budget.spend(nowMs)).filter(Boolean).length;

describe("RetryBudget", () => {
  it("grants three retries per second without traffic, and does not save them", () => {
    const budget = new RetryBudget(0.2);
    expect(granted(budget, 10, 1_000)).toBe(3);
    expect(granted(budget, 10, 1_334)).toBe(1);
    expect(granted(budget, 10, 60_000)).toBe(3);
  });

  it("grants its share of the requests in addition", () => {
    const budget = new RetryBudget(0.25);
    for (let i = 0; i < 100; i++) budget.earn();
    expect(granted(budget, 100, 1_000)).toBe(25 + 3);
  });

  it("grants no more than its share if every request fails", () => {
    const budget = new RetryBudget(0.5);
    let retries = 0;
    for (let i = 0; i < 10_000; i++) {
      budget.earn();
      if (budget.spend(1_000)) retries++;
    }
    expect(retries).toBeGreaterThanOrEqual(5_000);
    expect(retries).toBeLessThanOrEqual(5_003);
  });

  it("saves at most a hundred retries", () => {
    const budget = new RetryBudget(1);
    for (let i = 0; i < 10_000; i++) budget.earn();
    expect(granted(budget, 1_000, 1_000)).toBe(103);
  });

  it("handles a clock that goes back", () => {
    const budget = new RetryBudget(0.2);
    expect([granted(budget, 5, 10_000), granted(budget, 5, 0), granted(budget, 5, 1_000)]).toEqual([3, 0, 3]);
  });
});
