import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AttributeType, type AttributeValue, canonicalText, parseValue } from "../../src/decide/facts.ts";

describe("parseValue", () => {
  const read: [type: AttributeType, sentence: string, text: string, wanted: AttributeValue][] = [
    ["string", "the text unchanged", " a b ", " a b "],
    ["string", "the empty text", "", ""],
    ["number", "an integer", "42", 42],
    ["number", "a sign and a fraction", "-4.25", -4.25],
    ["number", "no digit before the point", ".5", 0.5],
    ["number", "an exponent", "1e3", 1000],
    ["number", "leading zeros", "007", 7],
    ["number", "minus zero, as zero", "-0", 0],
    ["boolean", "true", "true", true],
    ["boolean", "one", "1", true],
    ["boolean", "false", "false", false],
    ["boolean", "zero", "0", false],
    ["time", "RFC 3339 in UTC", "2026-01-01T00:00:00Z", Date.UTC(2026, 0, 1)],
    ["time", "RFC 3339 with an offset", "2026-01-01T08:00:00+08:00", Date.UTC(2026, 0, 1)],
    ["time", "a negative offset", "2025-12-31T19:00:00-05:00", Date.UTC(2026, 0, 1)],
    ["time", "the unknown local offset", "2026-01-01T00:00:00-00:00", Date.UTC(2026, 0, 1)],
    ["time", "lower case", "2026-01-01t00:00:00z", Date.UTC(2026, 0, 1)],
    ["time", "a blank for the T", "2026-01-01 00:00:00Z", Date.UTC(2026, 0, 1)],
    ["time", "a fraction, cut to milliseconds", "2026-01-01T00:00:00.1239Z", Date.UTC(2026, 0, 1, 0, 0, 0, 123)],
    ["time", "a short fraction", "2026-01-01T00:00:00.5Z", Date.UTC(2026, 0, 1, 0, 0, 0, 500)],
    ["time", "a date alone", "2026-01-01", Date.UTC(2026, 0, 1)],
    ["time", "a leap day", "2024-02-29", Date.UTC(2024, 1, 29)],
    ["time", "a leap day of a century year", "2000-02-29", Date.UTC(2000, 1, 29)],
    ["time", "a leap second", "2016-12-31T23:59:60Z", Date.UTC(2017, 0, 1)],
    ["time", "a leap second with an offset", "2017-01-01T08:59:60+09:00", Date.UTC(2017, 0, 1)],
    ["time", "a year before 100", "0001-01-01", Date.parse("0001-01-01T00:00:00Z")],
    ["time", "epoch seconds", "1767225600", Date.UTC(2026, 0, 1)],
    ["time", "epoch seconds with a fraction", "1767225600.57", Date.UTC(2026, 0, 1, 0, 0, 0, 570)],
    ["time", "epoch seconds before 1970", "-1", -1000],
    ["time", "minus zero, as zero", "-0", 0],
    ["time", "the last number of seconds", "99999999999", 99_999_999_999_000],
    ["time", "milliseconds", "1767225600000", Date.UTC(2026, 0, 1)],
    ["time", "the first number of milliseconds", "100000000000", 100_000_000_000],
    ["semver", "a version", "v4.2", { major: 4, minor: 2, patch: 0, prerelease: [] }],
    ["ip", "an address", "10.0.0.1", { text: "10.0.0.1", words: [0, 0, 0xffff, 0x0a000001] }],
  ];
  it.each(read)("parses as %s: %s", (type, _, text, wanted) => {
    expect(parseValue(type, text)).toStrictEqual(wanted);
  });

  const refused: [type: AttributeType, texts: string[]][] = [
    [
      "number",
      ["", " ", "1 ", "0x10", "1_000", "1,5", "Infinity", "NaN", "1e999", "5.", "--1", "1e", "9".repeat(65), "１"],
    ],
    ["boolean", ["", "TRUE", "yes", "no", "on", "2", "true "]],
    [
      "time",
      ["", "now", "2026-02-30", "2025-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-04-31"],
    ],
    ["time", ["2026-1", "2026-01-01T", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z"]],
    ["time", ["2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00.Z", "2026-01-01T12:00:60Z", "2026-01-01\n", "1e11"]],
    ["time", ["99999999999999999999", "+1", "1767225600.", "2026-01-01T00:00:00Z Z", "1".repeat(5000)]],
    ["semver", ["", "latest"]],
    ["ip", ["", "10.0.0"]],
  ];
  it.each(refused.flatMap(([type, texts]) => texts.map((text) => ({ type, text }))))(
    "rejects as $type: $text",
    (row) => {
      expect(parseValue(row.type, row.text)).toBeUndefined();
    },
  );

  it("parses any time that Date.toISOString writes", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
        (date) => {
          expect(parseValue("time", date.toISOString())).toBe(date.getTime());
        },
      ),
      { numRuns: 500 },
    );
  });

  it("never throws and never takes long, whatever a client sends", () => {
    const types: AttributeType[] = ["string", "number", "boolean", "time", "semver", "ip"];
    const anyText = fc.array(fc.nat({ max: 0x10ffff }), { maxLength: 60 });
    const almostValid = fc.array(
      fc.constantFrom(..."019.-:+eTZvx /").map((each) => each.charCodeAt(0)),
      { maxLength: 60 },
    );
    const hostile = fc.oneof(anyText, almostValid).map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(hostile, (text) => {
        for (const type of types) parseValue(type, text);
      }),
      { numRuns: 500 },
    );
  });
});

describe("canonicalText", () => {
  const same: [type: AttributeType, left: string, right: string, wanted: string][] = [
    ["number", "1e3", "1000.0", "1000"],
    ["boolean", "1", "true", "true"],
    ["time", "2026-01-01", "1767225600", "1767225600000"],
    ["semver", "v4.2+x", "4.2.0", "4.2.0"],
    ["ip", "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"],
    ["string", "x", "x", "x"],
  ];
  it.each(same)("is equal for two spellings of a %s", (type, left, right, wanted) => {
    const texts = [left, right].map((text) => canonicalText(parseValue(type, text) ?? "absent"));
    expect(texts).toEqual([wanted, wanted]);
  });
});
