import { describe, expect, test } from "vitest";
import { RateLimit } from "../../src/admin/access.ts";

describe("a rate limit", () => {
  test("lets a burst through, then so many a second", () => {
    const limit = new RateLimit({ perSecond: 2, burst: 3, callers: 10 });
    const at = (nowMs: number) => limit.allows("a", nowMs);
    expect([at(0), at(0), at(0), at(0)]).toEqual([true, true, true, false]);
    expect([at(500), at(500)]).toEqual([true, false]);
    expect([at(60_000), at(60_000), at(60_000), at(60_000)]).toEqual([true, true, true, false]);
  });

  test("remembers a bounded number of callers, the last ones", () => {
    const limit = new RateLimit({ perSecond: 1, burst: 1, callers: 2 });
    for (const caller of ["a", "b", "c"]) expect(limit.allows(caller, 0)).toBe(true);
    expect(["b", "c", "a"].map((caller) => limit.allows(caller, 0))).toEqual([false, false, true]);
  });
});
