import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { BoundedCache, SignatureCache } from "../../src/decide/bounded-cache.ts";

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

/** A text that ends like a signed one. */
const signed = (name: string) => `${name}.${createHash("sha256").update(name).digest("base64url").slice(0, 22)}`;

function signatureCacheOf(limit: number, names: readonly string[]): SignatureCache<{ text: string; name: string }> {
  const cache = new SignatureCache<{ text: string; name: string }>(limit);
  for (const name of names) cache.add({ text: signed(name), name });
  return cache;
}

const users = (count: number) => Array.from({ length: count }, (_, user) => `user-${user}`);

describe("SignatureCache", () => {
  it("finds entries by their whole text", () => {
    const cache = signatureCacheOf(1_000, ["ann", "bob", "eve"]);
    expect(["ann", "bob", "eve", "joe"].map((name) => cache.get(signed(name))?.name)).toEqual([
      "ann",
      "bob",
      "eve",
      undefined,
    ]);
    expect(cache.size).toBe(3);
  });

  it("does not find an entry by another text with the same signature", () => {
    const cache = signatureCacheOf(8, ["user-1"]);
    const end = signed("user-1").slice(-22);
    expect(cache.get(`user-2.${end}`)).toBeUndefined();
    expect(cache.get(`xuser-1.${end}`)).toBeUndefined();
    expect(cache.get(end)).toBeUndefined();
    expect(cache.get("")).toBeUndefined();
  });

  it("holds eight entries in a set and replaces the oldest", () => {
    const end = signed("user-1").slice(-22);
    const cache = new SignatureCache<{ text: string }>(4_096);
    for (let user = 0; user < 9; user++) cache.add({ text: `${user}.${end}` });
    const found = Array.from({ length: 9 }, (_, user) => cache.get(`${user}.${end}`) !== undefined);
    expect(found).toEqual([false, true, true, true, true, true, true, true, true]);
  });

  it("keeps nearly all entries up to half of its limit, and never more than its limit", () => {
    const half = signatureCacheOf(4_096, users(2_048));
    const kept = users(2_048).filter((name) => half.get(signed(name)) !== undefined);
    expect(kept.length).toBeGreaterThan(2_000);
    const full = signatureCacheOf(4_096, users(50_000));
    expect(full.size).toBeLessThanOrEqual(4_096);
    expect(full.size).toBeGreaterThan(4_000);
    expect(full.get(signed("user-49999"))?.name).toBe("user-49999");
  });

  it("keeps its entries when it grows", () => {
    const cache = new SignatureCache<{ text: string; name: string }>(65_536);
    for (const name of users(3_000)) {
      cache.add({ text: signed(name), name });
      expect(cache.get(signed(name))?.name).toBe(name);
    }
    const kept = users(3_000).filter((name) => cache.get(signed(name)) !== undefined);
    expect(kept.length).toBeGreaterThan(2_950);
  });
});
