import { type AttributeValue, canonicalText } from "./facts.ts";
import type { AddressRange } from "./ip-address.ts";
import type { Pattern, PatternScope } from "./pattern.ts";
import type { SemverRange } from "./semver.ts";

/** What a test reads. `index` is the attribute's position in the attribute table. */
export type Subject =
  | { readonly kind: "attribute"; readonly index: number; readonly name: string }
  | { readonly kind: "header" | "cookie" | "query"; readonly name: string }
  | { readonly kind: "method" | "host" | "path" | "clientAddress" };

/** A file of values, one per line, whose contents may be reloaded while requests run. */
export interface ValueList {
  readonly path: string;
  has(value: AttributeValue): boolean;
  /** The canonical texts of all values. */
  values(): Iterable<string>;
}

/** One operator with its operand, which has the subject's type. */
export type Test =
  | { readonly op: "equals"; readonly value: AttributeValue }
  | { readonly op: "in"; readonly values: readonly AttributeValue[] }
  | { readonly op: "prefix" | "suffix" | "contains"; readonly texts: readonly string[] }
  | { readonly op: "regex"; readonly pattern: Pattern }
  | { readonly op: "exists"; readonly wanted: boolean }
  /** Exclusive bounds, on numbers and times. */
  | { readonly op: "before" | "after"; readonly bound: number }
  /** Inclusive bounds, on numbers and times. */
  | { readonly op: "atLeast" | "atMost"; readonly bound: number }
  | { readonly op: "between"; readonly low: number; readonly high: number }
  /** Times only: at most, or more than, this many milliseconds ago. A time in the future is neither. */
  | { readonly op: "within" | "olderThan"; readonly ms: number }
  | { readonly op: "semver"; readonly range: SemverRange }
  | { readonly op: "cidr"; readonly ranges: readonly AddressRange[] }
  | { readonly op: "inFile"; readonly list: ValueList };

/** A rule's condition, as compiled from the configuration. */
export type Condition =
  | { readonly kind: "all" | "any"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  /** A percentage of units, drawn by `seed` or, without one, by release and rule name. */
  | { readonly kind: "percent"; readonly percent: number; readonly seed: string | undefined }
  | { readonly kind: "test"; readonly subject: Subject; readonly test: Test };

/** The subject's name in an explanation. */
export function describeSubject(subject: Subject): string {
  switch (subject.kind) {
    case "attribute":
      return subject.name;
    case "header":
    case "cookie":
    case "query":
      return `${subject.kind} ${subject.name}`;
    default:
      return subject.kind;
  }
}

function describeValue(value: AttributeValue | undefined): string {
  if (value === undefined) return "absent";
  if (typeof value === "number") return describeNumber(value);
  return typeof value === "string" ? JSON.stringify(value) : canonicalText(value);
}

export const tooCostly = "patterns would take more than 1 ms of this request";

/** The value that a test found, in an explanation. */
export function describeFound(test: Test, value: AttributeValue | undefined, scope: PatternScope): string {
  const found = describeValue(value);
  const isCut = test.op === "regex" && typeof value === "string" && test.pattern.test(value, scope) === undefined;
  return isCut ? `${found}, which is not matched: ${tooCostly}` : found;
}

/** The expected value in an explanation, to follow the word "expected". */
export function describeTest(test: Test): string {
  switch (test.op) {
    case "equals":
      return describeValue(test.value);
    case "in":
      return `one of ${test.values.map(describeValue).join(", ")}`;
    case "prefix":
    case "suffix":
    case "contains":
      return `${test.op} ${test.texts.map((text) => JSON.stringify(text)).join(" or ")}`;
    case "regex":
      return `regex ${test.pattern.source}`;
    case "exists":
      return test.wanted ? "present" : "absent";
    case "between":
      return `between ${describeNumber(test.low)} and ${describeNumber(test.high)}`;
    case "within":
      return `in the last ${test.ms / 1000} s`;
    case "olderThan":
      return `older than ${test.ms / 1000} s`;
    case "semver":
      return `semver ${test.range.source}`;
    case "cidr":
      return `in ${test.ranges.map((range) => range.text).join(" or ")}`;
    case "inFile":
      return `in the file ${test.list.path}`;
    case "atLeast":
      return `at least ${describeNumber(test.bound)}`;
    case "atMost":
      return `at most ${describeNumber(test.bound)}`;
    default:
      return `${test.op} ${describeNumber(test.bound)}`;
  }
}

/** A condition on one line, as people would say it: `userId one of "a", "b" and not (header x-beta present)`. */
export function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case "all":
    case "any":
      return describeParts(condition.of, condition.kind === "all" ? " and " : " or ");
    case "not":
      return `not (${describeCondition(condition.of)})`;
    case "percent":
      return `${condition.percent} % of units`;
    case "test":
      return `${describeSubject(condition.subject)} ${describeTest(condition.test)}`;
  }
}

function describeParts(parts: readonly Condition[], joint: string): string {
  const isNested = (part: Condition) => part.kind === "all" || part.kind === "any";
  const texts = parts.map((part) => (isNested(part) ? `(${describeCondition(part)})` : describeCondition(part)));
  return texts.join(joint);
}

/** From here up a number is more likely a time in milliseconds than a count. */
const firstLikelyTime = 1e11;

function describeNumber(value: number): string {
  const date = new Date(value);
  const isLikelyTime = Math.abs(value) >= firstLikelyTime && !Number.isNaN(date.getTime());
  return isLikelyTime ? date.toISOString() : String(value);
}
