import { expect, test } from "vitest";
import { emptyHash, extendHash, PartIndex } from "../../src/route/path-index.ts";

function hashOf(text: string): number {
  return [...text].reduce((hash, character) => extendHash(hash, character.charCodeAt(0)), emptyHash);
}

function find(index: PartIndex<string>, text: string): string | undefined {
  return index.find(text, 0, text.length, hashOf(text));
}

test("the hash is 32-bit FNV-1a", () => {
  // From the authors' test suite, http://www.isthe.com/chongo/src/fnv/test_fnv.c.
  expect(hashOf("foobar") >>> 0).toBe(0xbf9cf968);
});

test("texts whose hashes collide are distinguished", () => {
  // Two English words with the same FNV-1a hash.
  expect(hashOf("costarring")).toBe(hashOf("liquid"));
  const index = new PartIndex<string>("forwards");
  index.at("costarring", () => "film");
  expect(find(index, "liquid")).toBeUndefined();
  index.at("liquid", () => "water");
  expect(find(index, "costarring")).toBe("film");
  expect(find(index, "liquid")).toBe("water");
});

test("a text keeps its first value", () => {
  const index = new PartIndex<string>("forwards");
  expect(index.at("/a", () => "first")).toBe("first");
  expect(index.at("/a", () => "second")).toBe("first");
});

test("a part of a longer text is found only at its exact length", () => {
  const index = new PartIndex<string>("forwards");
  index.at("/api", () => "api");
  expect(index.find("/api/x", 0, 4, hashOf("/api"))).toBe("api");
  expect(index.find("/api/x", 0, 5, hashOf("/api"))).toBeUndefined();
  expect(index.longest).toBe(4);
});

test("suffixes are found by the hash of their characters from the end", () => {
  const index = new PartIndex<string>("backwards");
  index.at(".com", () => "com");
  expect(index.find("a.com", 1, 5, hashOf("moc."))).toBe("com");
});
