import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { BoundedCache, SignatureCache } from "../../src/decide/bounded-cache.ts";

function filled(limit: number, keys: string[]): BoundedCache<{ key: string }> {
  const map = new BoundedCache<{ key: string }>(limit, (value) => value.key);
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

/** Texts that end as signed ones do. */
const signed = (name: string) => `${name}.${createHash("sha256").update(name).digest("base64url").slice(0, 22)}`;

function filledSignatures(limit: number, names: readonly string[]): SignatureCache<{ text: string; name: string }> {
  const texts = new SignatureCache<{ text: string; name: string }>(limit);
  for (const name of names) texts.add({ text: signed(name), name });
  return texts;
}

const users = (count: number) => Array.from({ length: count }, (_, user) => `user-${user}`);

describe("texts that were verified", () => {
  it("are found by the whole text", () => {
    const texts = filledSignatures(1_000, ["ann", "bob", "eve"]);
    expect(["ann", "bob", "eve", "joe"].map((name) => texts.get(signed(name))?.name)).toEqual([
      "ann",
      "bob",
      "eve",
      undefined,
    ]);
    expect(texts.size).toBe(3);
  });

  it("are not found by another text with the same end", () => {
    const texts = filledSignatures(8, ["user-1"]);
    const end = signed("user-1").slice(-22);
    expect(texts.get(`user-2.${end}`)).toBeUndefined();
    expect(texts.get(`xuser-1.${end}`)).toBeUndefined();
    expect(texts.get(end)).toBeUndefined();
    expect(texts.get("")).toBeUndefined();
  });

  it("of the same end lie side by side, and the oldest gives way", () => {
    const end = signed("user-1").slice(-22);
    const texts = new SignatureCache<{ text: string }>(4_096);
    for (let user = 0; user < 9; user++) texts.add({ text: `${user}.${end}` });
    const found = Array.from({ length: 9 }, (_, user) => texts.get(`${user}.${end}`) !== undefined);
    expect(found).toEqual([false, true, true, true, true, true, true, true, true]);
  });

  it("are remembered nearly all while half of the places are empty, and a bounded number beyond that", () => {
    const half = filledSignatures(4_096, users(2_048));
    const remembered = users(2_048).filter((name) => half.get(signed(name)) !== undefined);
    expect(remembered.length).toBeGreaterThan(2_000);
    const full = filledSignatures(4_096, users(50_000));
    expect(full.size).toBeLessThanOrEqual(4_096);
    expect(full.size).toBeGreaterThan(4_000);
    expect(full.get(signed("user-49999"))?.name).toBe("user-49999");
  });

  it("stay when room is made for more", () => {
    const texts = new SignatureCache<{ text: string; name: string }>(65_536);
    for (const name of users(3_000)) {
      texts.add({ text: signed(name), name });
      expect(texts.get(signed(name))?.name).toBe(name);
    }
    const remembered = users(3_000).filter((name) => texts.get(signed(name)) !== undefined);
    expect(remembered.length).toBeGreaterThan(2_950);
  });
});
