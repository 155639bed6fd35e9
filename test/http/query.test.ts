import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeText, parseQuery, stripParameters } from "../../src/http/query.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

describe("parseQuery", () => {
  const cases: readonly [sentence: string, query: string, wanted: Readonly<Record<string, string>>][] = [
    ["reads names and values", "a=1&b=2", { a: "1", b: "2" }],
    ["keeps the first of a name", "a=1&a=2", { a: "1" }],
    ["keeps the first also where it is empty", "a=&a=2", { a: "" }],
    ["reads a name without a value as empty", "a&b=2", { a: "", b: "2" }],
    ["reads a value without a name", "=1", { "": "1" }],
    ["passes over empty parameters", "&&a=1&", { a: "1" }],
    ["keeps further equals signs", "a=b=c", { a: "b=c" }],
    ["decodes escapes", "a%20b=%41%2B", { "a b": "A+" }],
    ["reads a plus sign as a blank", "q=new+york", { q: "new york" }],
    ["decodes UTF-8", "city=K%C3%B6ln", { city: "Köln" }],
    [
      "decodes UTF-8 that came unescaped, in part or whole",
      "city=K\xc3\xb6ln&b=K\xc3%B6ln",
      { city: "Köln", b: "Köln" },
    ],
    ["leaves bytes that are no UTF-8", "city=K%F6ln", { city: "Köln" }],
    ["leaves an invalid escape", "a=100%&b=%zz%4", { a: "100%", b: "%zz%4" }],
    ["knows names that objects have", "__proto__=1&constructor=2", { ["__proto__"]: "1", constructor: "2" }],
    ["finds nothing in nothing", "", {}],
  ];
  test.each(cases)("%s", (_sentence, query, wanted) => {
    expect([...parseQuery(query)]).toEqual(Object.entries(wanted));
  });

  test("looks at 256 parameters and no more", () => {
    const query = Array.from({ length: 300 }, (_, index) => `p${index}=${index}`).join("&");
    expect(parseQuery(query).get("p255")).toBe("255");
    expect(parseQuery(query).has("p256")).toBe(false);
  });

  test("reads what URLSearchParams reads, where the text is plain UTF-8", () => {
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

  test("never throws, whatever bytes come", () => {
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
    ["takes a parameter from the middle", "a=1&region=eu&b=2", "a=1&b=2"],
    ["takes every occurrence", "region=1&a=1&region=2", "a=1"],
    ["takes it without a value, too", "region&a=1", "a=1"],
    ["takes it in any encoding", "re%67ion=eu&a+b=1&a%20b=2", ""],
    ["leaves all else as it was", "&regions=1&=x&a=%zz&&region=eu&", "&regions=1&=x&a=%zz&&"],
    ["leaves a query without it", "a=1", "a=1"],
    ["leaves an empty query", "", ""],
  ];
  test.each(cases)("%s", (_sentence, query, wanted) => {
    expect(stripParameters(query, names)).toBe(wanted);
  });

  test("also takes what parseQuery would not look at any more", () => {
    expect(stripParameters(`${"a&".repeat(300)}region=eu`, names)).not.toContain("region");
  });
});

test.each(["&", "=", "%", "%41", "+", "a&", "a=%&"])("a query of nothing but %j takes linear time", (unit) => {
  const query = nothingBut(unit);
  expectLinearTime(() => {
    parseQuery(query);
    stripParameters(query, new Set(["a"]));
  });
});

test.each([
  ["plain ASCII stays", "abc", "abc"],
  ["UTF-8 is decoded", "K\xc3\xb6ln", "Köln"],
  ["four bytes of UTF-8 are decoded", "\xf0\x9f\x90\x9f", "🐟"],
  ["Latin-1 stays", "K\xf6ln", "K\xf6ln"],
  ["an overlong form is no UTF-8 and stays", "\xc0\xaf", "\xc0\xaf"],
  ["half a surrogate pair is no UTF-8 and stays", "\xed\xa0\x80", "\xed\xa0\x80"],
  ["a text that was decoded before stays, as a library's caller has it", "Łę", "Łę"],
])("%s", (_sentence, bytes, wanted) => {
  expect(decodeText(bytes)).toBe(wanted);
});
