import { describe, expect, it } from "vitest";
import { BoundedCache } from "../../src/decide/bounded-cache.ts";

function cacheOf(limit: number, keys: string[]): BoundedCache<{ key: string }> {
  const cache = new BoundedCache<{ key: string }>(limit, (value) => value.key);
  for (const key of keys) cache.add({ key });
  return cache;
}

describe("BoundedCache", () => {
  it("keeps the entries of one generation", () => {
    const cache = cacheOf(3, ["a", "b", "c"]);
    expect(["a", "b", "c", "d"].map((key) => cache.get(key)?.key)).toEqual(["a", "b", "c", undefined]);
  });

  it("drops the older generation when a third one starts", () => {
    const cache = cacheOf(2, ["a", "b", "c", "d", "e"]);
    expect(["a", "b", "c", "d", "e"].map((key) => cache.get(key)?.key)).toEqual([undefined, undefined, "c", "d", "e"]);
  });

  it("keeps an entry that is looked up often, however many others are added", () => {
    const cache = cacheOf(2, ["a"]);
    for (let at = 0; at < 100; at++) {
      cache.add({ key: `other-${at}` });
      expect(cache.get("a")?.key).toBe("a");
    }
  });

  it("holds an entry only once after a look-up moved it", () => {
    const cache = cacheOf(2, ["a", "b", "c"]);
    cache.get("a");
    expect(cache.size).toBe(3);
  });

  it("never holds more than two generations", () => {
    const cache = cacheOf(10, []);
    for (let at = 0; at < 1000; at++) {
      cache.add({ key: `k${at}` });
      cache.get(`k${at - 7}`);
      cache.get(`k${at - 15}`);
      expect(cache.size).toBeLessThanOrEqual(20);
    }
  });
});
