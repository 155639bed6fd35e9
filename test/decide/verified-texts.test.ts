import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { VerifiedTexts } from "../../src/decide/bounded-cache.ts";

/** Texts that end as signed ones do. */
const signed = (name: string) => `${name}.${createHash("sha256").update(name).digest("base64url").slice(0, 22)}`;

function filledSignatures(limit: number, names: readonly string[]): VerifiedTexts<{ text: string; name: string }> {
  const texts = new VerifiedTexts<{ text: string; name: string }>(limit);
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
    const texts = new VerifiedTexts<{ text: string }>(4_096);
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
    const texts = new VerifiedTexts<{ text: string; name: string }>(65_536);
    for (const name of users(3_000)) {
      texts.add({ text: signed(name), name });
      expect(texts.get(signed(name))?.name).toBe(name);
    }
    const remembered = users(3_000).filter((name) => texts.get(signed(name)) !== undefined);
    expect(remembered.length).toBeGreaterThan(2_950);
  });
});
