/** @module-tag slow */
import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import { compilePattern, compileReplacement } from "../../src/config/pattern.ts";
import { type Pattern, PatternMeter } from "../../src/decide/pattern.ts";

function patternOf(source: string): Pattern {
  const pattern = compilePattern(source);
  if ("problem" in pattern) throw new Error(pattern.problem);
  return pattern;
}

const namesOf = (count: number): string =>
  Array.from({ length: count }, (_, at) => `${(at * 7_919).toString(36)}${["bot", "crawler", "spider"][at % 3]}`).join(
    "|",
  );

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
    "x".repeat(8_193),
    "(".repeat(1_001),
    "(abcdefghij){700}",
    `(${"x".repeat(1_000)}){1000}`,
    `[${"x".repeat(1_024)}]`,
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
  ])("held loop: %s takes a bounded time for any text", (source, text) => {
    const pattern = patternOf(source);
    const start = process.cpuUsage();
    for (let run = 0; run < 20; run++) pattern.test(text);
    // A millisecond each; twenty times that, for a busy machine that compiles the code only now.
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(400);
    expect(pattern.test("\u{1f600}".repeat(Math.floor(pattern.sureLength / 2)))).toBe(false);
  });

  test.each([
    "^/api/v[12]/",
    "Chrome/(1[2-9]\\d)",
    "(?i)(googlebot|bingbot|yandex|baiduspider)",
    "^(beta|staff)-\\d{1,9}$",
    `(?i)(${Array.from({ length: 100 }, (_, at) => `${(at * 7_919).toString(36)}bot`).join("|")})`,
    "\\b(?:\\d{1,3}\\.){3}\\d{1,3}\\b",
    "^[\\p{L}\\p{N} ]{1,100}$",
    "^.{0,1000}$",
    "[1-9][0-9]{0,6}",
    namesOf(300),
    `(?i).*(${namesOf(300)})`,
    `^.*(${namesOf(300)}).*$`,
  ])("%s, as people write, is tried on any text that fits in a header", (source) => {
    expect(patternOf(source).sureLength).toBeGreaterThan(32 * 1_024);
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

  test("a text that takes a costly pattern over its time does not match, whatever its length", () => {
    const pattern = patternOf("a[ab]{50}c");
    const match = `a${"b".repeat(50)}c`;
    expect(pattern.sureLength).toBeLessThan(4_096);
    expect(pattern.test(match.padStart(pattern.sureLength, "ab"))).toBe(true);
    expect(pattern.test(match.padStart(30_000, "ab"))).toBeUndefined();
    expect(pattern.test(match.padStart(20_000, "xyz"))).toBe(true);
    expect(pattern.test(match.padStart(40_001, "xyz"))).toBeUndefined();
  });

  test.each([
    ["session=([^;]{32})", `a=${"x".repeat(300)}; `.repeat(20), `session=${"0".repeat(32)}`],
    [
      "Android.{0,40}Chrome",
      "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 ".repeat(10),
      "Android) Chrome/120",
    ],
  ])("a costly pattern, %s, is tried to the end on texts as they are", (source, text, end) => {
    const pattern = patternOf(source);
    expect(pattern.sureLength).toBeLessThan(4_096);
    expect([pattern.test(text), pattern.test(text + end)]).toEqual([false, true]);
  });

  test("fifty costly patterns that one request meets take what one may take", { tags: ["slow"] }, () => {
    const patterns = Array.from({ length: 50 }, (_, at) => patternOf(`a[ab]{${500 + at}}c`));
    const scope = { patterns: new PatternMeter(), patternSkipped: () => {} };
    patternOf("a[ab]{499}c").test(random);
    const start = process.cpuUsage();
    const found = patterns.map((pattern) => pattern.test(random, scope));
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(20);
    expect(new Set(found)).toEqual(new Set([undefined]));
    // A table on a text of usual length does not need the time.
    expect(patternOf("^b|c").test("c", scope)).toBe(true);
  });

  test("a pattern that is tried again on a request's text finds the same, although the time is used up", () => {
    const scope = { patterns: new PatternMeter(), patternSkipped: () => {} };
    const pattern = patternOf("a[ab]{50}c");
    expect(pattern.test(`a${"b".repeat(50)}c`, scope)).toBe(true);
    expect(patternOf("a[ab]{51}c").test(random, scope)).toBeUndefined();
    expect(pattern.test(`a${"b".repeat(50)}c`, scope)).toBe(true);
  });

  test("any pattern matches the same texts as the engine that compiled it", { tags: ["slow"] }, () => {
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
    expect(pattern.replace(`/x/aaaaaaaaaaa/c${"/x".repeat(pattern.sureLength)}`)).toBeUndefined();
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
