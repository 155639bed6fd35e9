import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columnsOf, cut, padded, printable, printableJson, wrap } from "../../src/cli/text-block.ts";

const runs = { seed: 11, numRuns: 300 };
const anyText = fc.string({ unit: "binary", maxLength: 200 });

describe("text of others in a terminal", () => {
  test.each([
    { sent: "\u001b[2Jgone", shown: "\\u{1b}[2Jgone" },
    { sent: "a\r\nb\tc", shown: "a\\u{d}\\u{a}b\\u{9}c" },
    { sent: "\u009b31m", shown: "\\u{9b}31m" },
    { sent: "\u202eevil", shown: "\\u{202e}evil" },
    { sent: "\u2028", shown: "\\u{2028}" },
    { sent: "错误 12 % é 👍", shown: "错误 12 % é 👍" },
  ])("$sent is shown as $shown", ({ sent, shown }) => {
    expect(printable(sent)).toBe(shown);
  });

  test("holds no control, as text and as JSON, and the JSON stays the same", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const dangerous = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
        expect(printable(text)).not.toMatch(dangerous);
        const json = printableJson(JSON.stringify({ [text]: text }));
        expect(json).not.toMatch(dangerous);
        expect(JSON.parse(json)).toEqual({ [text]: text });
      }),
      runs,
    );
  });
});

describe("columns", () => {
  test.each([
    ["abc", 3],
    ["错误率", 6],
    ["e\u0301", 1],
    ["👍", 2],
    ["", 0],
  ])("%s takes %i", (text, columns) => {
    expect(columnsOf(text)).toBe(columns);
  });

  test("are what a cell is padded to, on either side", () => {
    expect([padded("错", 4, "left"), padded("错", 4, "right"), padded("abcd", 2, "left")]).toEqual([
      "错  ",
      "  错",
      "abcd",
    ]);
  });

  test("bound what is cut and what is wrapped, and wrapping loses no character", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "错", " ", "👍", "b"), maxLength: 120 });
    fc.assert(
      fc.property(text, fc.integer({ min: 8, max: 40 }), (written, columns) => {
        expect(columnsOf(cut(written, columns))).toBeLessThanOrEqual(columns);
        const lines = wrap(written, "  ", columns);
        for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(columns);
        expect(lines.join("").replaceAll(" ", "")).toBe(written.replaceAll(" ", ""));
      }),
      runs,
    );
  });
});
