import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { TokenBuckets } from "../../src/proxy/rate-limit.ts";

const rate = { requests: 10, perMs: 1_000, burst: 20 };

describe("token buckets", () => {
  it("give a burst, then one token each interval, and say when the next one comes", () => {
    const buckets = new TokenBuckets(rate);
    for (let i = 0; i < 20; i++) expect(buckets.take("a", 0)).toBe(0);
    expect(buckets.take("a", 0)).toBeCloseTo(100, 3);
    expect(buckets.take("a", 99)).toBeCloseTo(1, 3);
    expect(buckets.take("a", 100)).toBe(0);
    expect(buckets.take("a", 100)).toBeGreaterThan(0);
  });

  it("are each requester's own", () => {
    const buckets = new TokenBuckets({ requests: 1, perMs: 1_000, burst: 1 });
    expect([buckets.take("a", 0), buckets.take("b", 0)]).toEqual([0, 0]);
    expect(buckets.take("a", 0)).toBeGreaterThan(0);
  });

  it("hold no more than a burst after the longest rest", () => {
    const buckets = new TokenBuckets(rate);
    buckets.take("a", 0);
    const taken = Array.from({ length: 30 }, () => buckets.take("a", 1e9)).filter((waitMs) => waitMs === 0);
    expect(taken).toHaveLength(20);
  });

  test("never more than a burst and what came since, whatever the times; whoever waits as told gets one", () => {
    const aRate = fc.record({
      requests: fc.integer({ min: 1, max: 1_000 }),
      perMs: fc.integer({ min: 1, max: 100_000 }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    const gaps = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(aRate, gaps, ({ requests, perMs, burst }, waits) => {
        const buckets = new TokenBuckets({ requests, perMs, burst });
        let now = 1_000_000;
        const taken: number[] = [];
        for (const gap of waits) {
          now += gap;
          const waitMs = buckets.take("a", now);
          if (waitMs === 0) taken.push(now);
          else expect(buckets.take("a", now + waitMs + 1e-3)).toBe(0);
          if (waitMs > 0) {
            now += waitMs + 1e-3;
            taken.push(now);
          }
          for (const [from, first] of taken.entries()) {
            const allowed = burst + ((now - first) / perMs) * requests;
            expect(taken.length - from).toBeLessThanOrEqual(allowed + 1e-6);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it("remember a bounded number of requesters", () => {
    const buckets = new TokenBuckets(rate, 64);
    for (let i = 0; i < 10_000; i++) buckets.take(`name ${i}`, i);
    expect(buckets.size).toBe(64);
  });

  it("a flood of new names does not free whoever is over the limit", () => {
    const buckets = new TokenBuckets({ requests: 1, perMs: 60_000, burst: 5 }, 64);
    for (let i = 0; i < 5; i++) buckets.take("abuser", 0);
    for (let i = 0; i < 10_000; i++) {
      buckets.take(`name ${i}`, 1);
      expect(buckets.take("abuser", 1)).toBeGreaterThan(0);
    }
  });
});
