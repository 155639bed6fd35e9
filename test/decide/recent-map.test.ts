import { describe, expect, it } from "vitest";
import { RecentMap } from "../../src/decide/bounded-cache.ts";

function filled(limit: number, keys: string[]): RecentMap<{ key: string }> {
  const map = new RecentMap<{ key: string }>(limit, (value) => value.key);
  for (const key of keys) map.add({ key });
  return map;
}

describe("RecentMap", () => {
  it("remembers what fits into one generation", () => {
    const map = filled(3, ["a", "b", "c"]);
    expect(["a", "b", "c", "d"].map((key) => map.get(key)?.key)).toEqual(["a", "b", "c", undefined]);
  });

  it("forgets the older generation when a third one begins", () => {
    const map = filled(2, ["a", "b", "c", "d", "e"]);
    expect(["a", "b", "c", "d", "e"].map((key) => map.get(key)?.key)).toEqual([undefined, undefined, "c", "d", "e"]);
  });

  it("keeps what is asked for, however much passes by", () => {
    const map = filled(2, ["a"]);
    for (let at = 0; at < 100; at++) {
      map.add({ key: `passing-${at}` });
      expect(map.get("a")?.key).toBe("a");
    }
  });

  it("holds a value once, also when it was asked for again", () => {
    const map = filled(2, ["a", "b", "c"]);
    map.get("a");
    expect(map.size).toBe(3);
  });

  it("never holds more than two generations", () => {
    const map = filled(10, []);
    for (let at = 0; at < 1000; at++) {
      map.add({ key: `k${at}` });
      map.get(`k${at - 7}`);
      map.get(`k${at - 15}`);
      expect(map.size).toBeLessThanOrEqual(20);
    }
  });
});
