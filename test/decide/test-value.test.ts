import { describe, expect, it } from "vitest";
import { compileTest } from "../../src/decide/compile-condition.ts";
import type { Test } from "../../src/decide/condition.ts";
import { type AttributeType, type AttributeValue, parseValue } from "../../src/decide/facts.ts";
import { parseAddressRange } from "../../src/decide/ip-address.ts";
import { parseSemverRange } from "../../src/decide/semver.ts";

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
  ["equals on text, case counts", "string", { op: "equals", value: "eu" }, "eu", "EU us"],
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
  ["in with no value holds for none", "string", { op: "in", values: [] }, "", "eu"],
  ["prefix", "string", { op: "prefix", texts: ["cn-"] }, "cn-east cn-", "c xcn-"],
  ["prefix, one of several", "string", { op: "prefix", texts: ["cn-", "eu"] }, "cn-east europe", "us"],
  ["suffix", "string", { op: "suffix", texts: ["@example.com", ".test"] }, "a@example.com x.test", "example.com test"],
  ["contains", "string", { op: "contains", texts: ["bot"] }, "robot bot", "bo"],
  ["regex", "string", { op: "regex", pattern: { source: "^a+$", test: (text) => /^a+$/.test(text) } }, "aa", "ab"],
  ["before is exclusive", "time", { op: "before", bound: time("2026-01-01") }, "2025-12-31", "2026-01-01 2026-01-02"],
  ["after is exclusive", "time", { op: "after", bound: time("2026-01-01") }, "2026-01-02", "2026-01-01 2025-12-31"],
  ["atLeast is inclusive", "number", { op: "atLeast", bound: 5 }, "5 6", "4.9"],
  ["atMost is inclusive", "number", { op: "atMost", bound: 5 }, "5 4.9", "5.1"],
  ["between is inclusive", "number", { op: "between", low: 1, high: 2 }, "1 1.5 2", "0.9 2.1"],
  ["within counts back from now", "time", { op: "within", ms: dayMs }, "2026-05-31 2026-06-01", "2026-05-30T23:59:59Z"],
  ["within leaves out the future", "time", { op: "within", ms: dayMs }, "2026-06-01", "2026-06-02"],
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

  it("is true for an absent value with `exists: false` only, and that is false for a present one", () => {
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
