import { describe, expect, test } from "vitest";
import { parseSecrets, parseValueList } from "../../src/config/named-files.ts";
import { type AttributeType, parseValue } from "../../src/decide/facts.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("lists of values", () => {
  /** The type, the list, values in it, values not in it. */
  const cases: readonly (readonly [AttributeType, string, readonly string[], readonly string[]])[] = [
    ["string", "# beta users\nada\n  grace \r\n\n#x\n", ["ada", "grace"], ["#x", "", " grace", "Ada"]],
    ["number", "1\n2.50\n1e3", ["1.0", "2.5", "1000"], ["2", "0"]],
    ["boolean", "true", ["1"], ["false"]],
    ["time", "2026-01-01", ["1767225600", "2026-01-01T01:00:00+01:00"], ["2026-01-02"]],
    ["semver", "v4.2\n5.0.0-beta.1", ["4.2.0", "5.0.0-beta.1+build"], ["5.0.0"]],
    ["ip", "2001:DB8::1\n10.0.0.1", ["2001:db8:0::1", "::ffff:10.0.0.1"], ["10.0.0.2"]],
  ];

  test.each(cases)("of type %s: %j", (type, text, inside, outside) => {
    const list = parseValueList("/list", bytes(text), type);
    if ("problem" in list) throw new Error(list.problem);
    const holds = (written: string): boolean => {
      const value = parseValue(type, written);
      return value !== undefined && list.has(value);
    };
    expect(inside.filter((written) => !holds(written))).toEqual([]);
    expect(outside.filter(holds)).toEqual([]);
    expect(list.path).toBe("/list");
  });

  test("a value of another type is reported with its line", () => {
    expect(parseValueList("/l", bytes("1\n# c\nthree\nfour"), "number")).toEqual({
      problem: 'line 3: "three" is not a value of type number',
    });
  });

  test("bytes that are not UTF-8 are rejected", () => {
    expect(parseValueList("/l", Uint8Array.of(0x61, 0xff), "string")).toEqual({ problem: "it is not valid UTF-8" });
  });
});

describe("secrets", () => {
  const first = "a".repeat(32);
  const second = "é".repeat(16);

  test("one per line, trimmed, in order, without blank lines", () => {
    expect(parseSecrets(bytes(`\n ${first}\t\r\n\n${second}`))).toEqual([bytes(first), bytes(second)]);
  });

  test("are bytes, and need not be UTF-8", () => {
    const secret = new Uint8Array(32).fill(0xff);
    expect(parseSecrets(secret)).toEqual([secret]);
  });

  test.each([
    ["no secret", "\n \n", "it contains no secret"],
    ["an empty file", "", "it contains no secret"],
    ["one that is too short", `${first}\n${"b".repeat(31)}`, "line 2 has 31 bytes; a secret needs at least 32"],
  ])("%s", (_sentence, text, problem) => {
    expect(parseSecrets(bytes(text))).toEqual({ problem });
  });
});
