import { describe, expect, test } from "vitest";
import { diagnose, formatDiagnostic, Problems } from "../../../src/config/schema-kit/diagnostics.ts";
import { SourceText } from "../../../src/config/schema-kit/tree.ts";

function format(text: string, start: number, end: number, suggestion?: string): readonly string[] {
  const source = new SourceText("perch.yaml", text);
  const input = { code: "unknown-key", message: 'unknown key "wieght"', suggestion } as const;
  return formatDiagnostic(diagnose(source, { start, end }, "error", input)).split("\n");
}

describe("a formatted diagnostic", () => {
  test("has the location, the line, and carets below the relevant part", () => {
    expect(format("a: 1\n  wieght: 10\n", 7, 13, 'did you mean "weight"?')).toEqual([
      'perch.yaml:2:3: error: unknown key "wieght"; did you mean "weight"?',
      "   2 |   wieght: 10",
      "     |   ^^^^^^",
    ]);
  });

  test("points behind the last character if something is missing at the end of a line", () => {
    expect(format("a:\r\nb: 1", 2, 2).slice(1)).toEqual(["   1 | a:", "     |   ^"]);
  });

  test("never marks beyond the end of the line", () => {
    expect(format("ab\ncd", 1, 5).slice(1)).toEqual(["   1 | ab", "     |  ^"]);
  });

  test("shows no excerpt of an empty line", () => {
    expect(format("", 0, 0)).toEqual(['perch.yaml:1:1: error: unknown key "wieght"']);
  });

  test("cuts a long line to a window", () => {
    const [head, excerpt, carets] = format(`${"a".repeat(500)}wieght${"b".repeat(500)}`, 500, 506);
    expect(head).toContain("perch.yaml:1:501:");
    expect(excerpt).toBe(`   1 | …${"a".repeat(60)}wieght${"b".repeat(34)}…`);
    expect(carets).toBe(`     | ${" ".repeat(61)}^^^^^^`);
  });

  test("aligns the carets behind wide characters and tabs", () => {
    expect(format("商店:\twieght", 4, 10).slice(1)).toEqual(["   1 | 商店: wieght", "     |       ^^^^^^"]);
  });

  test("log injection: control and direction characters of the file never reach the terminal", () => {
    const [, excerpt] = format("a\u001b[2J\u0000\u202e\u2028b", 0, 1);
    expect(excerpt).toBe("   1 | a·[2J···b");
  });

  test("log injection: nor do those in a message or a suggestion", () => {
    const input = {
      code: "syntax",
      message: "bad \u001b[2J",
      suggestion: `known: \u0000 ${"x".repeat(600)}`,
    } as const;
    const found = diagnose(new SourceText("f", "a"), { start: 0, end: 1 }, "error", input);
    expect(found.message).toBe("bad ·[2J");
    expect(found.suggestion).toBe(`known: · ${"x".repeat(491)}…`);
  });

  test("clamps a location outside the text", () => {
    const source = new SourceText("f", "a\nbc");
    expect(source.position(-5)).toEqual({ line: 1, column: 1 });
    expect(source.position(99)).toEqual({ line: 2, column: 3 });
    expect(source.line(7)).toBe("");
  });
});

describe("the problems of a file", () => {
  const span = (start: number) => ({ start, end: start + 1 });
  const input = (message: string) => ({ code: "bad-value", message }) as const;

  test("lists the errors first, then the warnings, each in file order", () => {
    const problems = new Problems(new SourceText("perch.yaml", "abcd"));
    problems.warn(span(0), input("w0"));
    problems.error(span(3), input("e3"));
    problems.error(span(1), input("e1"));
    problems.warn(span(2), input("w2"));
    expect(problems.diagnostics().map(({ message }) => message)).toEqual(["e1", "e3", "w0", "w2"]);
  });

  test("keeps an error that comes after more warnings than are kept", () => {
    const problems = new Problems(new SourceText("perch.yaml", "ab"));
    for (let at = 0; at < 1_000; at++) problems.warn(span(0), input(`w${at}`));
    problems.error(span(1), input("e"));
    const found = problems.diagnostics();
    expect(found[0]?.message).toBe("e");
    expect(found.at(-1)?.message).toBe("1 more problems are not shown");
  });
});
