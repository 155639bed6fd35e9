import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import { compilePattern, compileReplacement } from "../../src/config/pattern.ts";
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

  const letters = "a".repeat(30_000);
  const random = Array.from({ length: 30_000 }, (_, at) => ((at * at * 31 + at * 7) % 97 < 48 ? "a" : "b")).join("");

  test.each([
    ["(?i)[\\p{L}]{1,800}1", `1${letters}`],
    ["(a|b)*a(a|b){300}c", `c${random}`],
    ["a[ab]{900}c", `c${random}`],
    ["a.{0,30}b.{0,30}c.{0,30}d", `${random}d`],
    ["a[ab]{50}c", `c${random}`],
    ["(.*a){20}$", `${random}!`],
    ["(foo|bar).{0,50}baz", "foobar".repeat(5_000)],
    ["(?:a?){100}a{100}b", `b${letters}`],
    ["\\b(?:\\w+\\W+){0,40}end\\b", "a ".repeat(15_000)],
  ])("held loop: %s is refused, or takes a bounded time for any text", (source, text) => {
    const pattern = compilePattern(source);
    if ("problem" in pattern) {
      expect(pattern.problem).toContain("make its repetitions smaller");
      return;
    }
    expect(pattern.maxLength).toBeGreaterThanOrEqual(256);
    const part = text.slice(0, pattern.maxLength);
    const start = process.cpuUsage();
    for (let run = 0; run < 20; run++) pattern.test(part);
    // A millisecond each; twenty times that, for a busy machine that compiles the code only now.
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(400);
    expect(pattern.test("\u{1f600}".repeat(pattern.maxLength))).toBe(false);
  });

  test.each([
    "^/api/v[12]/",
    "Chrome/(1[2-9]\\d)",
    "(?i)(googlebot|bingbot|yandex|baiduspider)",
    "^(beta|staff)-\\d{1,9}$",
    `(?i)(${Array.from({ length: 100 }, (_, at) => `${(at * 7_919).toString(36)}bot`).join("|")})`,
    "\\b(?:\\d{1,3}\\.){3}\\d{1,3}\\b",
    "^[\\p{L}\\p{N} ]{1,100}$",
  ])("%s, as people write, is tried on any text that fits in a header", (source) => {
    expect(patternOf(source).maxLength).toBeGreaterThan(32 * 1_024);
  });

  test.each(["a[ab]{900}c", "(a|b)*a(a|b){300}c"])("%s is refused when the file is read, with the cause", (source) => {
    expect(compilePattern(source)).toEqual({
      problem:
        "matching it would block other requests: it is too costly for 256 characters; make its repetitions smaller, anchor it with ^, or split it into several conditions",
    });
  });

  test.each([
    [
      "hundreds of letters with other cases",
      `(?i)${String.fromCharCode(...Array.from({ length: 600 }, (_, at) => 0x400 + at))}`,
    ],
    ["hundreds of large classes", "(?i)[\\p{L}\\p{N}]{1,600}"],
  ])("a file with %s is read at once", (_, source) => {
    const start = process.cpuUsage();
    compilePattern(source);
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(500);
  });

  test("a text over the limit of a costly pattern does not match", () => {
    const pattern = patternOf("a[ab]{50}c");
    const match = `a${"b".repeat(50)}c`;
    expect(pattern.maxLength).toBeLessThan(4_096);
    expect(pattern.test(match.padStart(pattern.maxLength))).toBe(true);
    expect(pattern.test(match.padStart(pattern.maxLength + 1))).toBe(false);
  });

  test("any pattern matches the same texts as the engine that compiled it", () => {
    const parts = fc.constantFrom(
      ...["a", "k", "1", "_", " ", ".", "\\n", "\\d", "\\w", "\\W", "\\b", "\\B", "^", "$", "(?m:^)", "(?m:$)", "\\z"],
      ...[
        "[^a]",
        "\\pL",
        "\u{1f600}",
        "(?i:k)",
        "(?i:s)",
        "(?i:\u00e9)",
        "(?i:\u03c3)",
        "(?s:.)",
        "(",
        ")",
        "|",
        "*",
        "+",
        "?",
        "{1,3}",
      ],
    );
    const source = fc.array(parts, { maxLength: 12 }).map((each) => each.join(""));
    const letter = fc.constantFrom(
      ..."ak\u212aKs\u017f\u00e9\u00c9\u03c3\u03c2\u03a31_ \n",
      "\u{1f600}",
      "\ud83d",
      "\udc00",
    );
    const text = fc.array(letter, { maxLength: 12 }).map((each) => each.join(""));
    fc.assert(
      fc.property(source, fc.array(text, { maxLength: 5 }), (written, texts) => {
        const pattern = compilePattern(written);
        if ("problem" in pattern) return;
        const engine = RE2JS.compile(written);
        for (const one of texts) expect(pattern.test(one), JSON.stringify([written, one])).toBe(engine.test(one));
      }),
      { numRuns: 3_000 },
    );
  });

  test("a rewrite does not pass a path on unchanged that matches and is too long", () => {
    const pattern = compileReplacement("/(a|b)*a(a|b){9}/c", "/");
    if ("problem" in pattern) throw new Error(pattern.problem);
    expect([pattern.replace("/aaaaaaaaaaa/c"), pattern.replace("/x".repeat(400))]).toEqual(["/", "/x".repeat(400)]);
    expect(pattern.replace(`/x/aaaaaaaaaaa/c${"/x".repeat(pattern.maxLength)}`)).toBeUndefined();
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
