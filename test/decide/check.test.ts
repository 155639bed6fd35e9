import { describe, expect, it } from "vitest";
import { compileCarriesNone, compileCondition, requesterSubjects } from "../../src/decide/compile-condition.ts";
import type { Condition, Subject } from "../../src/decide/condition.ts";
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
    ["a test that holds", east, fromEast, true, 'region should be "east", is "east"'],
    ["a test that fails", east, { attributes: { region: "us" } }, false, 'region should be "east", is "us"'],
    ["a test of something absent", east, {}, false, 'region should be "east", is absent'],
    ["all, of which one fails", all(east, gold), fromEast, false, 'plan should be "gold", is absent'],
    [
      "all that hold",
      all(east, gold),
      goldFromEast,
      true,
      'region should be "east", is "east", plan should be "gold", is "gold"',
    ],
    ["all of nothing", all(), {}, true, "no condition"],
    ["any, of which one holds", any(gold, east), fromEast, true, 'region should be "east", is "east"'],
    ["any of nothing", any(), fromEast, false, "none of: "],
    [
      "any, of which none holds",
      any(gold, east),
      {},
      false,
      'none of: plan should be "gold", is absent, region should be "east", is absent',
    ],
    ["not, of something that holds", not(east), fromEast, false, 'not (region should be "east", is "east")'],
    ["not, of something unknown", not(east), {}, true, 'not (region should be "east", is absent)'],
    ["not, nested", not(not(east)), fromEast, true, 'not (not (region should be "east", is "east"))'],
    [
      "a header",
      on({ kind: "header", name: "x-a" }, "1"),
      { headers: { "x-a": "1" } },
      true,
      'header x-a should be "1", is "1"',
    ],
    [
      "a cookie",
      on({ kind: "cookie", name: "a" }, "1"),
      { cookies: { a: "2" } },
      false,
      'cookie a should be "1", is "2"',
    ],
    [
      "a query parameter",
      on({ kind: "query", name: "a" }, "1"),
      { query: { a: "1" } },
      true,
      'query a should be "1", is "1"',
    ],
    ["the method", on({ kind: "method" }, "GET"), {}, true, 'method should be "GET", is "GET"'],
    ["the host", on({ kind: "host" }, "a.test"), {}, false, 'host should be "a.test", is "shop.example.com"'],
    ["the path", on({ kind: "path" }, "/x"), { path: "/x" }, true, 'path should be "/x", is "/x"'],
    [
      "the client address",
      clientInside,
      { clientAddress: parseAddress("10.1.1.1") },
      true,
      "clientAddress should be in 10.0.0.0/8, is 10.1.1.1",
    ],
    ["no client address", clientInside, {}, false, "clientAddress should be in 10.0.0.0/8, is absent"],
  ];
  it.each(cases)("%s", (_, condition, given, holds, why) => {
    const check = compileCondition(condition, "shop", "rule");
    expect(check.holds(factsOf(given), nowMs, unit)).toBe(holds);
    expect(check.why(factsOf(given), nowMs, unit)).toBe(why);
  });

  const worded: [condition: Condition, why: string][] = [
    [attribute("plan", { op: "in", values: ["a", 2, true] }), 'plan should be one of "a", 2, true, is absent'],
    [attribute("plan", { op: "prefix", texts: ["a", "b"] }), 'plan should be prefix "a" or "b", is absent'],
    [attribute("plan", { op: "exists", wanted: false }), "plan should be absent, is absent"],
    [attribute("plan", { op: "exists", wanted: true }), "plan should be present, is absent"],
    [
      attribute("plan", { op: "before", bound: Date.UTC(2026, 0, 1) }),
      "plan should be before 2026-01-01T00:00:00.000Z, is absent",
    ],
    [attribute("plan", { op: "atLeast", bound: 3 }), "plan should be at least 3, is absent"],
    [
      attribute("plan", { op: "between", low: 1, high: 9e15 }),
      "plan should be between 1 and 9000000000000000, is absent",
    ],
    [attribute("plan", { op: "within", ms: 5000 }), "plan should be within 5 s of now, is absent"],
    [attribute("plan", { op: "olderThan", ms: 5000 }), "plan should be older than 5 s, is absent"],
    [
      attribute("plan", { op: "regex", pattern: { source: "^a", test: () => true } }),
      "plan should be regex ^a, is absent",
    ],
    [
      attribute("plan", { op: "inFile", list: { path: "vip.txt", has: () => true, values: () => [] } }),
      "plan should be in the file vip.txt, is absent",
    ],
  ];
  it.each(worded)("%j is worded for people", (condition, why) => {
    expect(compileCondition(condition, "shop", "rule").why(factsOf(), nowMs, unit)).toBe(why);
  });

  it("words versions by their canonical text", () => {
    const range = parseSemverRange(">=4 <5");
    const version = parseSemver("v4.2");
    if (range === undefined || version === undefined) throw new Error("the texts above parse");
    const check = compileCondition(attribute("plan", { op: "semver", range }), "shop", "rule");
    expect(check.why(factsOf({ attributes: { plan: version } }), nowMs, unit)).toBe(
      "plan should be semver >=4 <5, is 4.2.0",
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
      /^the unit's place is \d+\.\d\d, wanted below 50$/,
    );
  });
});

describe("the facts about the requester that a condition reads", () => {
  it("are attributes and named headers, cookies and query parameters, at any depth", () => {
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

  it("are carried by a request as soon as one of them is there", () => {
    const carriesNone = compileCarriesNone(requesterSubjects(all(east, on({ kind: "header", name: "x-a" }, "1"))));
    expect(carriesNone(factsOf({ attributes: { plan: "gold" }, query: { "x-a": "1" } }))).toBe(true);
    expect(carriesNone(factsOf(fromEast))).toBe(false);
    expect(carriesNone(factsOf({ headers: { "x-a": "" } }))).toBe(false);
  });

  it("are told apart by kind, not by name alone", () => {
    const both = all(on({ kind: "header", name: "a" }, "1"), on({ kind: "cookie", name: "a" }, "1"));
    const carriesNone = compileCarriesNone(requesterSubjects(both));
    expect(carriesNone(factsOf({ headers: { a: "1" } }))).toBe(false);
    expect(carriesNone(factsOf({ cookies: { a: "1" } }))).toBe(false);
  });
});
