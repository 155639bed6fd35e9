import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesPattern } from "../../src/decide/compile-condition.ts";
import { type AttributeType, canonicalText } from "../../src/decide/facts.ts";
import type { Caller } from "../../src/http/request-head.ts";
import { type AttributeSource, AttributeTable, noLookups } from "../../src/identify/attributes.ts";
import { RequestFacts } from "../../src/identify/request-facts.ts";
import { address, callerOf, type Headers, headOf, ranges } from "../http/heads.ts";

type NamedKind = "header" | "cookie" | "query";

function from(kind: NamedKind, name: string, trust: "anyone" | "proxies" = "anyone"): AttributeSource {
  return { kind, name, trust };
}

const untrusted = callerOf({ address: address("203.0.113.5"), trusted: false });
const trusted = ranges("10.0.0.0/8");

interface Given {
  readonly type?: AttributeType;
  readonly from: readonly AttributeSource[];
  readonly headers?: Headers;
  readonly target?: string;
  readonly caller?: Caller;
}

/** The facts of a request in a table with one attribute, and the errors that were reported. */
function factsOf({ type = "string", from: sources, headers = {}, target = "/", caller = callerOf() }: Given) {
  const errors: string[] = [];
  const sink = {
    attributeError: (index: number, cause: string) => void errors.push(`${index}: ${cause}`),
    patternSkipped: () => void errors.push("skipped"),
  };
  const table = new AttributeTable([{ name: "given", type, from: sources }], sink, noLookups);
  return { facts: new RequestFacts(table, headOf(headers, target), caller, trusted, 0), errors };
}

/** The value's canonical text, and the errors that were reported. */
function read(given: Given): readonly [value: string | undefined, ...errors: string[]] {
  const { facts, errors } = factsOf(given);
  const value = facts.attribute(0);
  return [value === undefined ? undefined : canonicalText(value), ...errors];
}

describe("an attribute", () => {
  const cases: readonly [sentence: string, given: Given, wanted: readonly (string | undefined)[]][] = [
    ["comes from a header", { from: [from("header", "x-user")], headers: { "x-user": "ann" } }, ["ann"]],
    [
      "comes from a header named in capitals",
      { from: [from("header", "X-User")], headers: { "x-user": "ann" } },
      ["ann"],
    ],
    ["comes from a cookie", { from: [from("cookie", "uid")], headers: { cookie: 'a=1; uid="ann"' } }, ["ann"]],
    [
      "comes from any of several Cookie headers",
      { from: [from("cookie", "uid")], headers: { cookie: ["a=1", "uid=ann"] } },
      ["ann"],
    ],
    ["comes from the query", { from: [from("query", "user")], target: "/?a=1&user=ann+b" }, ["ann b"]],
    ["comes from the client address", { type: "ip", from: [{ kind: "clientAddress" }] }, ["10.0.0.9"]],
    [
      "comes from the derived address, not the caller's",
      { type: "ip", from: [{ kind: "clientAddress" }], headers: { "x-forwarded-for": "192.0.2.1" } },
      ["192.0.2.1"],
    ],
    ["comes from the client address as text", { from: [{ kind: "clientAddress" }] }, ["10.0.0.9"]],
    [
      "is absent if no source has it",
      { from: [from("header", "x"), from("cookie", "x"), from("query", "x")] },
      [undefined],
    ],
    [
      "is absent without a client address",
      { from: [{ kind: "clientAddress" }], caller: callerOf({ address: undefined }) },
      [undefined],
    ],
    [
      "comes from the first source that is present",
      {
        from: [from("header", "x"), from("cookie", "x"), from("query", "x")],
        headers: { cookie: "x=cookie" },
        target: "/?x=query",
      },
      ["cookie"],
    ],
    [
      "comes from the next source if the first does not parse, which is reported",
      { type: "number", from: [from("header", "x"), from("query", "x")], headers: { x: "four" }, target: "/?x=4" },
      ["4", "0: unparsable"],
    ],
    [
      "comes from the next source if the first is empty, which is not reported",
      { type: "number", from: [from("header", "x"), from("query", "x")], headers: { x: "" }, target: "/?x=4" },
      ["4"],
    ],
    ["of type string is absent if it is empty", { from: [from("header", "x")], headers: { x: "" } }, [undefined]],
    [
      "comes from the next source if a header is repeated, which is reported",
      { from: [from("header", "x"), from("query", "x")], headers: { x: ["a", "a"] }, target: "/?x=b" },
      ["b", "0: repeated"],
    ],
    [
      "is absent if all sources fail, and each failure is reported",
      { type: "semver", from: [from("header", "x"), from("cookie", "x")], headers: { x: ["1", "2"], cookie: "x=one" } },
      [undefined, "0: repeated", "0: unparsable"],
    ],
    [
      "comes from the first of two cookies of one name",
      { from: [from("cookie", "x")], headers: { cookie: "x=1; x=2" } },
      ["1"],
    ],
    ["is decoded as UTF-8", { from: [from("header", "x")], headers: { x: "K\xc3\xb6ln" } }, ["Köln"]],
    ["stays Latin-1 if it is not UTF-8", { from: [from("header", "x")], headers: { x: "K\xf6ln" } }, ["Köln"]],
    [
      "from a cookie is decoded as UTF-8",
      { from: [from("cookie", "x")], headers: { cookie: "x=K\xc3\xb6ln" } },
      ["Köln"],
    ],
    [
      "from a cookie is not percent-decoded",
      { from: [from("cookie", "x")], headers: { cookie: "x=a%20b" } },
      ["a%20b"],
    ],
    ["of type semver", { type: "semver", from: [from("header", "x")], headers: { x: "v4.2" } }, ["4.2.0"]],
    ["of type time", { type: "time", from: [from("header", "x")], headers: { x: "1970-01-02" } }, ["86400000"]],
    [
      "of type boolean may be false",
      { type: "boolean", from: [from("header", "x")], headers: { x: "false" } },
      ["false"],
    ],
    ["of type number may be 0", { type: "number", from: [from("header", "x")], headers: { x: "0" } }, ["0"]],
  ];
  test.each(cases)("%s", (_sentence, given, wanted) => {
    expect(read(given)).toEqual(wanted);
  });

  test("is read and reported only once", () => {
    const { facts, errors } = factsOf({ type: "number", from: [from("header", "x")], headers: { x: "four" } });
    for (let count = 0; count < 3; count++) expect(facts.attribute(0)).toBeUndefined();
    expect(errors).toEqual(["0: unparsable"]);
  });

  test("outside the table is absent", () => {
    expect(factsOf({ from: [] }).facts.attribute(7)).toBeUndefined();
  });
});

describe("a source with trust: proxies", () => {
  const kinds: readonly [NamedKind, Pick<Given, "headers" | "target">][] = [
    ["header", { headers: { x: "ann" } }],
    ["cookie", { headers: { cookie: "x=ann" } }],
    ["query", { target: "/?x=ann" }],
  ];
  test.each(kinds)("is read in a %s only from a trusted caller", (kind, sent) => {
    const sources = [from(kind, "x", "proxies")];
    expect(read({ from: sources, ...sent })).toEqual(["ann"]);
    expect(read({ from: sources, ...sent, caller: untrusted })).toEqual([undefined]);
  });

  test.each(kinds)("hides the %s from every other reader as well", (kind, sent) => {
    const sources = [from(kind, "x", "proxies"), from(kind, "x", "anyone")];
    expect(read({ from: sources, ...sent, caller: untrusted })).toEqual([undefined]);
    const { facts } = factsOf({ from: sources, ...sent, caller: untrusted });
    expect(facts[kind]("x")).toBeUndefined();
    expect(factsOf({ from: sources, ...sent }).facts[kind]("x")).toBe("ann");
  });

  test("is not reported as an error if an untrusted caller repeats it", () => {
    const sources = [from("header", "x", "proxies")];
    expect(read({ from: sources, headers: { x: ["a", "b"] }, caller: untrusted })).toEqual([undefined]);
  });
});

test("the table has the names to remove from untrusted callers' requests, and the index of each attribute", () => {
  const table = new AttributeTable(
    [
      { name: "a", type: "string", from: [from("header", "X-A", "proxies"), from("cookie", "A")] },
      {
        name: "b",
        type: "string",
        from: [from("cookie", "B", "proxies"), from("query", "c", "proxies"), { kind: "clientAddress" }],
      },
    ],
    { attributeError: () => {}, patternSkipped: () => {} },
    noLookups,
  );
  expect([...table.untrustedHeaders]).toEqual(["x-a"]);
  expect([...table.untrustedCookies]).toEqual(["B"]);
  expect([...table.untrustedQuery]).toEqual(["c"]);
  expect([table.size, table.indexOf("a"), table.indexOf("b"), table.indexOf("c")]).toEqual([2, 0, 1, undefined]);
});

test("a text that a pattern is not tried on to the end is reported and does not match", () => {
  const { facts, errors } = factsOf({ from: [] });
  const pattern = { source: "a", sureLength: 3, test: (text: string) => (text.length > 3 ? undefined : true) };
  expect([matchesPattern(pattern, "aaa", facts), matchesPattern(pattern, "aaaa", facts)]).toEqual([true, false]);
  expect(errors).toEqual(["skipped"]);
});

describe("request facts", () => {
  const { facts } = factsOf({
    from: [],
    headers: {
      host: "Shop.Example.com:80",
      x: "K\xc3\xb6ln",
      y: ["1", "2"],
      z: "",
      cookie: 'a="1"; e=',
      "x-forwarded-proto": "https",
    },
    target: "/p?q=a+b&e",
  });
  test.each<[sentence: string, found: () => unknown, wanted: unknown]>([
    ["a header, decoded", () => facts.header("x"), "Köln"],
    ["a repeated header as absent", () => facts.header("y"), undefined],
    ["an empty header as empty", () => facts.header("z"), ""],
    ["a missing header", () => facts.header("w"), undefined],
    ["a cookie without its quotes", () => facts.cookie("a"), "1"],
    ["an empty cookie as empty", () => facts.cookie("e"), ""],
    ["a missing cookie", () => facts.cookie("b"), undefined],
    ["a query parameter", () => facts.query("q"), "a b"],
    ["an empty query parameter as empty", () => facts.query("e"), ""],
    ["a missing query parameter", () => facts.query("r"), undefined],
    ["the method", () => facts.method, "GET"],
    ["the host", () => facts.host, "shop.example.com"],
    ["the path", () => facts.path, "/p"],
    ["the client address", () => facts.clientAddress?.text, "10.0.0.9"],
    ["whether the client used https", () => facts.isHttps, true],
    ["the forwarding headers", () => facts.forwarded.port, "80"],
  ])("%s", (_sentence, found, wanted) => {
    expect(found()).toBe(wanted);
    // Cached.
    expect(found()).toBe(wanted);
  });
});

test("reading facts never throws, whatever a client sends", () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const types = fc.constantFrom<AttributeType>("string", "number", "boolean", "time", "semver", "ip");
  const sources = [from("header", "x"), from("cookie", "x"), from("query", "x"), { kind: "clientAddress" } as const];
  const headers = fc.record({
    x: fc.oneof(text, fc.array(text, { maxLength: 2 })),
    cookie: text,
    "x-forwarded-for": text,
  });
  fc.assert(
    fc.property(types, headers, text, fc.boolean(), (type, sent, query, isTrusted) => {
      const caller = isTrusted ? callerOf() : untrusted;
      const { facts } = factsOf({ type, from: sources, headers: sent, target: `/?x=${query}`, caller });
      expect(() => [facts.attribute(0), facts.header("x"), facts.cookie("x"), facts.query("x")]).not.toThrow();
      expect(facts.clientAddress).toBeDefined();
    }),
    { numRuns: 1000 },
  );
});
