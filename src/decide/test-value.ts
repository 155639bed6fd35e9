import type { Address, AddressRange } from "./address.ts";
import type { Test } from "./condition.ts";
import type { AttributeValue } from "./facts.ts";
import { compareSemver, type SemanticVersion } from "./semver.ts";

/** Judges a fact's value at a moment, in milliseconds since the Unix epoch. */
export type ValueTest = (value: AttributeValue | undefined, nowMs: number) => boolean;

/**
 * Compiles one operator with its operand. An absent value, or one of another type than the operand's, fails every test
 * but `exists: false`. Semantic versions are equal by precedence and addresses by address, not by spelling.
 */
export function compileTest(test: Test): ValueTest {
  switch (test.op) {
    case "equals":
      return compileEquals(test.value);
    case "in":
      return compileIn(test.values);
    case "prefix":
      return compileTexts(test.texts, (text, part) => text.startsWith(part));
    case "suffix":
      return compileTexts(test.texts, (text, part) => text.endsWith(part));
    case "contains":
      return compileTexts(test.texts, (text, part) => text.includes(part));
    case "regex": {
      const { pattern } = test;
      return (value) => typeof value === "string" && pattern.test(value);
    }
    case "exists": {
      const { wanted } = test;
      return (value) => (value !== undefined) === wanted;
    }
    case "semver": {
      const { range } = test;
      return (value) => isVersion(value) && range.test(value);
    }
    case "cidr":
      return compileCidr(test.ranges);
    case "inFile": {
      const { list } = test;
      return (value) => value !== undefined && list.has(value);
    }
    default:
      return compileOrder(test);
  }
}

function isVersion(value: AttributeValue | undefined): value is SemanticVersion {
  return typeof value === "object" && "prerelease" in value;
}

function isAddress(value: AttributeValue | undefined): value is Address {
  return typeof value === "object" && "words" in value;
}

function compileEquals(wanted: AttributeValue): ValueTest {
  if (isVersion(wanted)) return (value) => isVersion(value) && compareSemver(value, wanted) === 0;
  if (isAddress(wanted)) return (value) => isAddress(value) && value.text === wanted.text;
  return (value) => value === wanted;
}

function compileIn(wanted: readonly AttributeValue[]): ValueTest {
  const [only] = wanted;
  if (only !== undefined && wanted.length === 1) return compileEquals(only);
  const versions = wanted.filter(isVersion);
  if (versions.length > 0) {
    return (value) => isVersion(value) && versions.some((version) => compareSemver(value, version) === 0);
  }
  const texts = new Set(wanted.filter(isAddress).map((address) => address.text));
  if (texts.size > 0) return (value) => isAddress(value) && texts.has(value.text);
  const values = new Set<AttributeValue | undefined>(wanted);
  return (value) => values.has(value);
}

function compileTexts(parts: readonly string[], matches: (text: string, part: string) => boolean): ValueTest {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return (value) => typeof value === "string" && matches(value, only);
  return (value) => typeof value === "string" && parts.some((part) => matches(value, part));
}

function compileCidr(ranges: readonly AddressRange[]): ValueTest {
  return (value) => isAddress(value) && ranges.some((range) => range.contains(value));
}

type OrderTest = Extract<Test, { op: "before" | "after" | "atLeast" | "atMost" | "between" | "within" | "olderThan" }>;

function compileOrder(test: OrderTest): ValueTest {
  switch (test.op) {
    case "before": {
      const { bound } = test;
      return (value) => typeof value === "number" && value < bound;
    }
    case "after": {
      const { bound } = test;
      return (value) => typeof value === "number" && value > bound;
    }
    case "atLeast": {
      const { bound } = test;
      return (value) => typeof value === "number" && value >= bound;
    }
    case "atMost": {
      const { bound } = test;
      return (value) => typeof value === "number" && value <= bound;
    }
    case "between": {
      const { low, high } = test;
      return (value) => typeof value === "number" && value >= low && value <= high;
    }
    case "within": {
      const { ms } = test;
      return (value, nowMs) => typeof value === "number" && value <= nowMs && nowMs - value <= ms;
    }
    case "olderThan": {
      const { ms } = test;
      return (value, nowMs) => typeof value === "number" && nowMs - value > ms;
    }
  }
}
