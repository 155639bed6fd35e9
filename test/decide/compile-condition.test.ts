import { describe, expect, it } from "vitest";
import {
  compileCarriesNone,
  compileCondition,
  compileTest,
  requesterSubjects,
} from "../../src/decide/compile-condition.ts";
import type { Condition, Subject, Test } from "../../src/decide/condition.ts";
import { type AttributeType, type AttributeValue, parseValue } from "../../src/decide/facts.ts";
import { parseAddress, parseAddressRange } from "../../src/decide/ip-address.ts";
import { parseSemver, parseSemverRange } from "../../src/decide/semver.ts";
import { attributeUnit } from "../../src/decide/unit.ts";
import { attribute, equals, type FactsOf, factsOf, nowMs } from "./shop-release.ts";

const unit = attributeUnit("user-1");
const east = attribute("region", equals("east"));
const gold = attribute("plan", equals("gold"));
const fromEast: FactsOf = { attributes: { region: "east" } };
const goldFromEast: FactsOf = { attributes: { region: "east", plan: "gold" } };

function on(subject: Subject, wanted: string): Condition {
  return { kind: "test", subject, test: equals(wanted) };
}

function all(...of: Condition[]): Condition {
  return { kind: "all", of };
}

function any(...of: Condition[]): Condition {
  return { kind: "any", of };
}

function not(of: Condition): Condition {
  return { kind: "not", of };
}

describe("compileCondition", () => {
  const clientInside = all({
    kind: "test",
    subject: { kind: "clientAddress" },
    test: { op: "cidr", ranges: [parseAddressRange("10.0.0.0/8")].filter((range) => range !== undefined) },
  });
  const cases: [sentence: string, condition: Condition, given: FactsOf, holds: boolean, why: string][] = [
    ["a test that holds", east, fromEast, true, 'region: expected "east", got "east"'],
    ["a test that fails", east, { attributes: { region: "us" } }, false, 'region: expected "east", got "us"'],
    ["a test of an absent attribute", east, {}, false, 'region: expected "east", got absent'],
    ["all, one of which fails", all(east, gold), fromEast, false, 'plan: expected "gold", got absent'],
    [
      "all, which all hold",
      all(east, gold),
      goldFromEast,
      true,
      'region: expected "east", got "east"; plan: expected "gold", got "gold"',
    ],
    ["all, empty", all(), {}, true, "no condition"],
    ["any, one of which holds", any(gold, east), fromEast, true, 'region: expected "east", got "east"'],
    ["any, empty", any(), fromEast, false, "none of: "],
    [
      "any, none of which holds",
      any(gold, east),
      {},
      false,
      'none of: plan: expected "gold", got absent; region: expected "east", got absent',
    ],
    ["not, of a test that holds", not(east), fromEast, false, 'not (region: expected "east", got "east")'],
    ["not, of an absent attribute", not(east), {}, true, 'not (region: expected "east", got absent)'],
    ["not, nested", not(not(east)), fromEast, true, 'not (not (region: expected "east", got "east"))'],
    [
      "a header",
      on({ kind: "header", name: "x-a" }, "1"),
      { headers: { "x-a": "1" } },
      true,
      'header x-a: expected "1", got "1"',
    ],
    [
      "a cookie",
      on({ kind: "cookie", name: "a" }, "1"),
      { cookies: { a: "2" } },
      false,
      'cookie a: expected "1", got "2"',
    ],
    [
      "a query parameter",
      on({ kind: "query", name: "a" }, "1"),
      { query: { a: "1" } },
      true,
      'query a: expected "1", got "1"',
    ],
    ["the method", on({ kind: "method" }, "GET"), {}, true, 'method: expected "GET", got "GET"'],
    ["the host", on({ kind: "host" }, "a.test"), {}, false, 'host: expected "a.test", got "shop.example.com"'],
    ["the path", on({ kind: "path" }, "/x"), { path: "/x" }, true, 'path: expected "/x", got "/x"'],
    [
      "the client address",
      clientInside,
      { clientAddress: parseAddress("10.1.1.1") },
      true,
      "clientAddress: expected in 10.0.0.0/8, got 10.1.1.1",
    ],
    ["no client address", clientInside, {}, false, "clientAddress: expected in 10.0.0.0/8, got absent"],
  ];
  it.each(cases)("%s", (_, condition, given, holds, why) => {
    const check = compileCondition(condition, "shop", "rule");
    expect(check.holds(factsOf(given), nowMs, unit)).toBe(holds);
    expect(check.why(factsOf(given), nowMs, unit)).toBe(why);
  });

  const explained: [condition: Condition, why: string][] = [
    [attribute("plan", { op: "in", values: ["a", 2, true] }), 'plan: expected one of "a", 2, true, got absent'],
    [attribute("plan", { op: "prefix", texts: ["a", "b"] }), 'plan: expected prefix "a" or "b", got absent'],
    [attribute("plan", { op: "exists", wanted: false }), "plan: expected absent, got absent"],
    [attribute("plan", { op: "exists", wanted: true }), "plan: expected present, got absent"],
    [
      attribute("plan", { op: "before", bound: Date.UTC(2026, 0, 1) }),
      "plan: expected before 2026-01-01T00:00:00.000Z, got absent",
    ],
    [attribute("plan", { op: "atLeast", bound: 3 }), "plan: expected at least 3, got absent"],
    [
      attribute("plan", { op: "between", low: 1, high: 9e15 }),
      "plan: expected between 1 and 9000000000000000, got absent",
    ],
    [attribute("plan", { op: "within", ms: 5000 }), "plan: expected in the last 5 s, got absent"],
    [attribute("plan", { op: "olderThan", ms: 5000 }), "plan: expected older than 5 s, got absent"],
    [
      attribute("plan", { op: "regex", pattern: { source: "^a", sureLength: 9, test: () => true } }),
      "plan: expected regex ^a, got absent",
    ],
    [
      attribute("plan", { op: "inFile", list: { path: "vip.txt", has: () => true, values: () => [] } }),
      "plan: expected in the file vip.txt, got absent",
    ],
  ];
  it.each(explained)("explains %j in text", (condition, why) => {
    expect(compileCondition(condition, "shop", "rule").why(factsOf(), nowMs, unit)).toBe(why);
  });

  it("explains versions by their canonical text", () => {
    const range = parseSemverRange(">=4 <5");
    const version = parseSemver("v4.2");
    if (range === undefined || version === undefined) throw new Error("the texts above parse");
    const check = compileCondition(attribute("plan", { op: "semver", range }), "shop", "rule");
    expect(check.why(factsOf({ attributes: { plan: version } }), nowMs, unit)).toBe(
      "plan: expected semver >=4 <5, got 4.2.0",
    );
  });

  it("draws `percent` by release and rule, or by the seed", () => {
    const half: Condition = { kind: "percent", percent: 50, seed: undefined };
    const seeded: Condition = { kind: "percent", percent: 50, seed: "summer" };
    const takes = (condition: Condition, rule: string) => {
      const check = compileCondition(condition, "shop", rule);
      return Array.from({ length: 64 }, (_, at) => check.holds(factsOf(), nowMs, attributeUnit(`user-${at}`)));
    };
    expect(takes(half, "one")).toEqual(takes(half, "one"));
    expect(takes(half, "one")).not.toEqual(takes(half, "two"));
    expect(takes(seeded, "one")).toEqual(takes(seeded, "two"));
    expect(compileCondition(half, "shop", "one").why(factsOf(), nowMs, unit)).toMatch(
      /^percentile: expected below 50, got \d+\.\d\d$/,
    );
  });
});

describe("requesterSubjects and compileCarriesNone", () => {
  it("find attributes and named headers, cookies and query parameters, at any depth", () => {
    const named: Subject[] = [
      { kind: "header", name: "a" },
      { kind: "cookie", name: "b" },
      { kind: "query", name: "c" },
    ];
    const unnamed = (["method", "host", "path", "clientAddress"] as const).map((kind): Subject => ({ kind }));
    const percent: Condition = { kind: "percent", percent: 1, seed: undefined };
    const condition = all(
      percent,
      not(any(east, ...named.map((subject) => on(subject, "1")))),
      ...unnamed.map((each) => on(each, "1")),
    );
    expect(requesterSubjects(condition)).toEqual([{ kind: "attribute", index: 1, name: "region" }, ...named]);
  });

  it("find that a request carries some as soon as one is present, even empty", () => {
    const carriesNone = compileCarriesNone(requesterSubjects(all(east, on({ kind: "header", name: "x-a" }, "1"))));
    expect(carriesNone(factsOf({ attributes: { plan: "gold" }, query: { "x-a": "1" } }))).toBe(true);
    expect(carriesNone(factsOf(fromEast))).toBe(false);
    expect(carriesNone(factsOf({ headers: { "x-a": "" } }))).toBe(false);
  });

  it("distinguish subjects by kind, not by name alone", () => {
    const both = all(on({ kind: "header", name: "a" }, "1"), on({ kind: "cookie", name: "a" }, "1"));
    const carriesNone = compileCarriesNone(requesterSubjects(both));
    expect(carriesNone(factsOf({ headers: { a: "1" } }))).toBe(false);
    expect(carriesNone(factsOf({ cookies: { a: "1" } }))).toBe(false);
  });
});

const testNowMs = Date.UTC(2026, 5, 1);
const dayMs = 86_400_000;

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the table holds a text that does not parse");
  return value;
}

function value(type: AttributeType, text: string): AttributeValue {
  return present(parseValue(type, text));
}

function values(type: AttributeType, texts: string): AttributeValue[] {
  return texts.split(" ").map((text) => value(type, text));
}

const time = (text: string): number => Number(value("time", text));
const list = { path: "users.txt", has: (each: AttributeValue) => each === "u1", values: () => ["u1"] };

const cases: [sentence: string, type: AttributeType, test: Test, holds: string, fails: string][] = [
  ["equals on text, case-sensitive", "string", { op: "equals", value: "eu" }, "eu", "EU us"],
  ["equals on numbers", "number", { op: "equals", value: 10 }, "10 1e1", "10.1"],
  ["equals on booleans", "boolean", { op: "equals", value: true }, "true 1", "false 0"],
  [
    "equals on versions, by precedence",
    "semver",
    { op: "equals", value: value("semver", "4.2") },
    "v4.2.0+b",
    "4.2.0-a",
  ],
  ["equals on addresses, by address", "ip", { op: "equals", value: value("ip", "::1") }, "0:0::1", "::2 1.1.1.1"],
  ["in with one value", "string", { op: "in", values: ["eu"] }, "eu", "us"],
  ["in with several", "string", { op: "in", values: ["eu", "cn-east"] }, "eu cn-east", "us cn"],
  ["in on versions", "semver", { op: "in", values: values("semver", "1.0 2.0") }, "2 1.0.0+x", "1.1"],
  ["in on addresses", "ip", { op: "in", values: values("ip", "10.0.0.1 ::1") }, "::ffff:10.0.0.1", "10.0.0.2"],
  ["in with no values never holds", "string", { op: "in", values: [] }, "", "eu"],
  ["prefix", "string", { op: "prefix", texts: ["cn-"] }, "cn-east cn-", "c xcn-"],
  ["prefix, one of several", "string", { op: "prefix", texts: ["cn-", "eu"] }, "cn-east europe", "us"],
  ["suffix", "string", { op: "suffix", texts: ["@example.com", ".test"] }, "a@example.com x.test", "example.com test"],
  ["contains", "string", { op: "contains", texts: ["bot"] }, "robot bot", "bo"],
  [
    "regex",
    "string",
    { op: "regex", pattern: { source: "^a+$", sureLength: 9, test: (text) => /^a+$/.test(text) } },
    "aa",
    "ab",
  ],
  ["before is exclusive", "time", { op: "before", bound: time("2026-01-01") }, "2025-12-31", "2026-01-01 2026-01-02"],
  ["after is exclusive", "time", { op: "after", bound: time("2026-01-01") }, "2026-01-02", "2026-01-01 2025-12-31"],
  ["atLeast is inclusive", "number", { op: "atLeast", bound: 5 }, "5 6", "4.9"],
  ["atMost is inclusive", "number", { op: "atMost", bound: 5 }, "5 4.9", "5.1"],
  ["between is inclusive", "number", { op: "between", low: 1, high: 2 }, "1 1.5 2", "0.9 2.1"],
  ["within counts back from now", "time", { op: "within", ms: dayMs }, "2026-05-31 2026-06-01", "2026-05-30T23:59:59Z"],
  ["within excludes the future", "time", { op: "within", ms: dayMs }, "2026-06-01", "2026-06-02"],
  ["olderThan", "time", { op: "olderThan", ms: dayMs }, "2026-05-30T23:59:59Z", "2026-05-31 2026-06-02"],
  ["semver", "semver", { op: "semver", range: present(parseSemverRange(">=4.1 <5")) }, "4.2.0-beta.1 4.1", "5 4.0"],
  ["cidr", "ip", { op: "cidr", ranges: [present(parseAddressRange("10.0.0.0/8"))] }, "10.1.1.1", "11.1.1.1 ::1"],
  ["inFile", "string", { op: "inFile", list }, "u1", "u2"],
  ["exists", "string", { op: "exists", wanted: true }, "x", ""],
];

describe("compileTest", () => {
  it.each(cases)("%s", (_, type, test, holds, fails) => {
    const compiled = compileTest(test);
    const answers = (texts: string) =>
      texts.split(" ").filter((text) => text !== "" && compiled(value(type, text), testNowMs));
    expect(answers(holds)).toEqual(holds.split(" ").filter((text) => text !== ""));
    expect(answers(fails)).toEqual([]);
  });

  it.each(cases)("is false for an absent value: %s", (_, _type, test) => {
    expect(compileTest(test)(undefined, testNowMs)).toBe(false);
  });

  it("is true for an absent value only with `exists: false`, which is false for a present one", () => {
    const compiled = compileTest({ op: "exists", wanted: false });
    expect([compiled(undefined, testNowMs), compiled("", testNowMs)]).toEqual([true, false]);
  });

  it.each(cases.filter(([, , { op }]) => op !== "exists"))(
    "is false for a value of another type: %s",
    (_, type, test) => {
      const samples: [AttributeType, AttributeValue][] = [
        ["string", "4.2"],
        ["number", 4],
        ["boolean", false],
        ["semver", value("semver", "9.9")],
        ["ip", value("ip", "192.0.2.9")],
      ];
      const kind = type === "time" ? "number" : type;
      for (const [other, sample] of samples) {
        if (other !== kind) expect(compileTest(test)(sample, testNowMs), other).toBe(false);
      }
    },
  );
});
