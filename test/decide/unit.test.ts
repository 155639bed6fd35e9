import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseValue } from "../../src/decide/facts.ts";
import {
  attributeUnit,
  formatUnit,
  isSameUnit,
  parseUnit,
  randomUnit,
  type Unit,
  unitPattern,
} from "../../src/decide/unit.ts";
import { seededRandom } from "./shop-release.ts";

const anyUnit = fc.record({
  source: fc.constantFrom<Unit["source"]>("attribute", "random"),
  hi: fc.integer(),
  lo: fc.integer(),
});

describe("a unit", () => {
  it("is equal for two spellings of one value", () => {
    const spelled = ["v4.2", "4.2.0+build"].map((text) => attributeUnit(parseValue("semver", text) ?? ""));
    expect(spelled[0]).toEqual(spelled[1]);
  });

  it("has a text that matches the pattern and parses to the same unit", () => {
    const pattern = new RegExp(`^${unitPattern}$`);
    fc.assert(
      fc.property(anyUnit, (unit) => {
        expect(formatUnit(unit)).toMatch(pattern);
        expect(parseUnit(formatUnit(unit))).toEqual(unit);
      }),
      { numRuns: 300 },
    );
  });

  it("has only one text that matches the pattern", () => {
    fc.assert(
      fc.property(fc.stringMatching(new RegExp(`^${unitPattern}$`)), (text) => {
        expect(formatUnit(parseUnit(text))).toBe(text);
      }),
      { numRuns: 300 },
    );
  });

  it("takes 64 bits from the generator if it is random", () => {
    const [random, same] = [seededRandom(5), seededRandom(5)];
    expect(randomUnit(random)).toEqual({ source: "random", hi: same.int32(), lo: same.int32() });
  });

  it("differs from one of the other source with equal bits", () => {
    const unit: Unit = { source: "random", hi: 1, lo: 2 };
    expect(isSameUnit(unit, { ...unit })).toBe(true);
    expect(isSameUnit(unit, { ...unit, source: "attribute" })).toBe(false);
    expect(isSameUnit(unit, { ...unit, hi: 2 })).toBe(false);
    expect(isSameUnit(unit, { ...unit, lo: 1 })).toBe(false);
  });
});
