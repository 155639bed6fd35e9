import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { jsonSchema } from "../../src/config/schema.ts";
import { formatDiagnostic } from "../../src/config/schema-kit/diagnostics.ts";
import { load, validConfig } from "./valid-config.ts";

/** Pieces with a meaning for YAML, the schema or a terminal. */
const pieces = [
  ..."{}[],:#&*!|>'\"%@`-?~ \t\n\r\0",
  "- ",
  ": ",
  "\n  ",
  "---\n",
  "...\n",
  "<<: *a",
  "&a ",
  "*a",
  "!!int ",
  "null",
  "true",
  "-1",
  "1e999",
  ".nan",
  "0x10",
  "1.10",
  "__proto__",
  "constructor",
  "toString",
  "$" + "{",
  "$" + "{WEIGHT}",
  "$" + "{NOPE}",
  "$" + "{A:-",
  "\u0000",
  "\u001b[2J",
  "\u2028",
  "\ufeff",
  "\ud800",
  "商",
  "é",
  "[".repeat(150),
  "x".repeat(300),
  ...validConfig.split(/[\s,{}[\]]+/).filter((word) => word !== ""),
];

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(validConfig.length),
  remove: fc.oneof(fc.constant(0), fc.nat(5), fc.nat(60)),
  insert: fc.oneof(fc.constantFrom(...pieces), fc.constant(""), fc.string({ unit: "binary", maxLength: 6 })),
});

const mutated = fc.array(edit, { minLength: 1, maxLength: 5 }).map((edits) => {
  let text = validConfig;
  for (const { at, remove, insert } of edits) text = text.slice(0, at) + insert + text.slice(at + remove);
  return text;
});

/** Replaces whole words, which keeps the YAML valid more often and so reaches the schema and the compiler. */
const swapped = fc
  .array(fc.tuple(fc.nat(), fc.constantFrom(...pieces)), { minLength: 1, maxLength: 4 })
  .map((swaps) => {
    const words = validConfig.split(/(?<=[\s,{}[\]"])|(?=[\s,{}[\]"])/);
    for (const [at, piece] of swaps) words[at % words.length] = piece;
    return words.join("");
  });

const spellings = [
  "1",
  "0",
  "-0.5",
  "+5",
  ".5",
  "007",
  "1.10",
  "1e3",
  "0x1F",
  "'5'",
  "true",
  "False",
  '"true"',
  "~",
  "on",
  "5s",
  "1h30m",
  "100KiB",
  "stable",
  "canary",
  "userId",
  "none",
  "/x",
  "2026-01-01",
  "10.0.0.1",
  "é",
  '"' + "$" + '{WEIGHT}"',
  '"' + "$" + '{NOPE:-stable}"',
  "[a, 1]",
  "{}",
];

const values = [...validConfig.matchAll(/(?<=[:[,{] )[^\s,{}[\]:]+(?=[\s,\]}])/g)];

/** Replaces one or two values by other spellings. About half of the results are valid. */
const respelt = fc
  .array(fc.tuple(fc.constantFrom(...values), fc.constantFrom(...spellings)), { minLength: 1, maxLength: 2 })
  .map((changes) => {
    let text = validConfig;
    for (const [{ 0: word, index }, spelling] of changes.toSorted(([one], [other]) => other.index - one.index)) {
      text = text.slice(0, index) + spelling + text.slice(index + word.length);
    }
    return text;
  });

const anyText = fc.oneof(
  { weight: 4, arbitrary: mutated },
  { weight: 4, arbitrary: swapped },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => parts.join("")) },
);

const printable = (line: string): string => line.replace(/\t/g, " ").replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "·");

describe("any file", () => {
  test("loads or is rejected, each problem with a location in the file and an excerpt of that line", {
    tags: ["slow"],
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const result = load(text);
        const found = result.ok ? result.warnings : result.problems;
        if (!result.ok) expect(found.some((problem) => problem.severity === "error")).toBe(true);
        const lines = text.replace(/^\ufeff/, "").split("\n");
        for (const problem of found) {
          const line = (lines[problem.line - 1] ?? "").replace(/\r$/, "");
          expect(problem.line).toBeGreaterThanOrEqual(1);
          expect(problem.line).toBeLessThanOrEqual(lines.length);
          expect(problem.column).toBeGreaterThanOrEqual(1);
          expect(problem.column).toBeLessThanOrEqual(line.length + 2);
          expect(printable(line)).toContain(problem.excerpt.replace(/^…|…$/g, ""));
          expect(problem.caret.offset).toBeLessThanOrEqual(2 * problem.excerpt.length);
          expect(problem.message).not.toBe("");
          expect(formatDiagnostic(problem)).not.toMatch(/[^\P{Cc}\n]/u);
        }
      }),
      { numRuns: 400 },
    );
  });

  test("that loads is valid by the JSON Schema: an editor never marks what Perch accepts", {
    tags: ["slow"],
    timeout: 60_000,
  }, () => {
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(jsonSchema());
    let loaded = 0;
    fc.assert(
      fc.property(respelt, (text) => {
        if (!load(text).ok) return;
        loaded++;
        expect(validate(parse(text)), `${JSON.stringify(validate.errors)}\n${text}`).toBe(true);
      }),
      { numRuns: 400 },
    );
    expect(loaded).toBeGreaterThan(60);
  });
});
