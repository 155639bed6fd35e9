import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePattern } from "../../src/config/pattern.ts";
import type { Pattern } from "../../src/decide/condition.ts";

function patternOf(source: string): Pattern {
  const pattern = compilePattern(source);
  if ("problem" in pattern) throw new Error(pattern.problem);
  return pattern;
}

describe("patterns", () => {
  test.each([
    ["b", "abc", true],
    ["^b", "abc", false],
    ["^a.c$", "abc", true],
    ["(?i)SAFARI", "Mobile Safari/605", true],
    ["^v(?:1|2)$", "v3", false],
    ["\\p{Han}", "商店", true],
    ["^\\d{4}-\\d\\d$", "2026-01", true],
    ["", "anything", true],
  ])("%s in %s", (source, text, wanted) => {
    const pattern = patternOf(source);
    expect(pattern.test(text)).toBe(wanted);
    // The engine keeps state between matches, which must not affect the second one.
    expect(pattern.test(text)).toBe(wanted);
    expect(pattern.source).toBe(source);
  });

  test.each([
    "(",
    "[",
    "a{2,1}",
    "\\1",
    "(?=a)",
    "(?<!a)",
    "*",
    "x".repeat(1_025),
    "(".repeat(1_001),
    "(abcdefghij){300}",
  ])("%s is rejected", (source) => {
    expect(compilePattern(source)).toHaveProperty("problem");
  });

  test("ReDoS: patterns that a backtracking engine never finishes take linear time", () => {
    const text = `${"a".repeat(30_000)}!`;
    for (const source of ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$", "(x+x+)+y"]) {
      const pattern = patternOf(source);
      const start = process.cpuUsage();
      expect(pattern.test(text)).toBe(false);
      expect(process.cpuUsage(start).user / 1_000).toBeLessThan(2_000);
    }
  });

  test("any string gives a pattern or a problem, never an exception", () => {
    const syntax = fc.constantFrom(
      "(",
      ")",
      "[",
      "]",
      "{",
      "}",
      "*",
      "+",
      "?",
      "|",
      "^",
      "$",
      ".",
      "\\",
      "a",
      "1",
      ",",
      "-",
    );
    const source = fc.oneof(
      fc.string(),
      fc.array(syntax, { maxLength: 40 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(source, fc.string(), (written, text) => {
        const pattern = compilePattern(written);
        if ("problem" in pattern) expect(pattern.problem).not.toBe("");
        else expect(typeof pattern.test(text)).toBe("boolean");
      }),
      { numRuns: 500 },
    );
  });
});
