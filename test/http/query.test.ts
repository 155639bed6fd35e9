import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeText, parseQuery, stripParameters } from "../../src/http/query.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

describe("parseQuery", () => {
  const cases: readonly [sentence: string, query: string, wanted: Readonly<Record<string, string>>][] = [
    ["parses names and values", "a=1&b=2", { a: "1", b: "2" }],
    ["keeps the first of a name", "a=1&a=2", { a: "1" }],
    ["keeps the first even if it is empty", "a=&a=2", { a: "" }],
    ["gives a name without a value the empty value", "a&b=2", { a: "", b: "2" }],
    ["accepts an empty name", "=1", { "": "1" }],
    ["skips empty parameters", "&&a=1&", { a: "1" }],
    ["keeps further equals signs", "a=b=c", { a: "b=c" }],
    ["decodes escapes", "a%20b=%41%2B", { "a b": "A+" }],
    ["decodes a plus sign as a blank", "q=new+york", { q: "new york" }],
    ["decodes UTF-8", "city=K%C3%B6ln", { city: "Köln" }],
    [
      "decodes UTF-8 that is partly or entirely unescaped",
      "city=K\xc3\xb6ln&b=K\xc3%B6ln",
      { city: "Köln", b: "Köln" },
    ],
    ["decodes invalid UTF-8 as Latin-1", "city=K%F6ln", { city: "Köln" }],
    ["keeps an invalid escape", "a=100%&b=%zz%4", { a: "100%", b: "%zz%4" }],
    ["accepts the names of Object's properties", "__proto__=1&constructor=2", { ["__proto__"]: "1", constructor: "2" }],
    ["accepts an empty query", "", {}],
  ];
  test.each(cases)("%s", (_sentence, query, wanted) => {
    expect([...parseQuery(query)]).toEqual(Object.entries(wanted));
  });

  test("parses at most 256 parameters", () => {
    const query = Array.from({ length: 300 }, (_, index) => `p${index}=${index}`).join("&");
    expect(parseQuery(query).get("p255")).toBe("255");
    expect(parseQuery(query).has("p256")).toBe(false);
  });

  test("agrees with URLSearchParams on valid UTF-8", () => {
    const piece = fc.constantFrom("x", "y", "&", "=", "+", "%20", "%C3%A9", "%", "%4", "~", "'");
    fc.assert(
      fc.property(fc.string({ unit: piece }), (query) => {
        const wanted = new URLSearchParams(query);
        const found = parseQuery(query);
        expect([...found.keys()]).toEqual([...new Set(wanted.keys())]);
        for (const [name, value] of found) expect(value).toBe(wanted.get(name));
      }),
      { numRuns: 1500 },
    );
  });

  test("never throws, whatever a client sends", () => {
    const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(bytes, (query) => {
        expect(parseQuery(query).size).toBeLessThanOrEqual(256);
        expect(stripParameters(query, new Set(["x"])).length).toBeLessThanOrEqual(query.length);
      }),
    );
  });
});

describe("stripParameters", () => {
  const names = new Set(["region", "a b"]);
  const cases: readonly [sentence: string, query: string, wanted: string][] = [
    ["removes a parameter from the middle", "a=1&region=eu&b=2", "a=1&b=2"],
    ["removes every occurrence", "region=1&a=1&region=2", "a=1"],
    ["removes a parameter without a value", "region&a=1", "a=1"],
    ["removes a parameter in any encoding", "re%67ion=eu&a+b=1&a%20b=2", ""],
    ["keeps everything else unchanged", "&regions=1&=x&a=%zz&&region=eu&", "&regions=1&=x&a=%zz&&"],
    ["keeps a query without the parameter", "a=1", "a=1"],
    ["keeps an empty query", "", ""],
  ];
  test.each(cases)("%s", (_sentence, query, wanted) => {
    expect(stripParameters(query, names)).toBe(wanted);
  });

  test("also removes parameters over the limit of parseQuery", () => {
    expect(stripParameters(`${"a&".repeat(300)}region=eu`, names)).not.toContain("region");
  });
});

test.each(["&", "=", "%", "%41", "+", "a&", "a=%&"])(
  "a query of nothing but %j takes linear time",
  { tags: ["slow"] },
  (unit) => {
    const query = nothingBut(unit);
    expectLinearTime(() => {
      parseQuery(query);
      stripParameters(query, new Set(["a"]));
    });
  },
);

test.each([
  ["ASCII is unchanged", "abc", "abc"],
  ["UTF-8 is decoded", "K\xc3\xb6ln", "Köln"],
  ["four bytes of UTF-8 are decoded", "\xf0\x9f\x90\x9f", "🐟"],
  ["Latin-1 is unchanged", "K\xf6ln", "K\xf6ln"],
  ["an overlong form is not UTF-8 and is unchanged", "\xc0\xaf", "\xc0\xaf"],
  ["half a surrogate pair is not UTF-8 and is unchanged", "\xed\xa0\x80", "\xed\xa0\x80"],
  ["text that a library's caller has already decoded is unchanged", "Łę", "Łę"],
])("%s", (_sentence, bytes, wanted) => {
  expect(decodeText(bytes)).toBe(wanted);
});
