import { type AttributeValue, canonicalText } from "./facts.ts";
import type { AddressRange } from "./ip-address.ts";
import type { SemverRange } from "./semver.ts";

/** What a test looks at. `attribute` is an index into the attribute table. */
export type Subject =
  | { readonly kind: "attribute"; readonly index: number; readonly name: string }
  | { readonly kind: "header" | "cookie" | "query"; readonly name: string }
  | { readonly kind: "method" | "host" | "path" | "clientAddress" };

/** A linear-time matcher of a user's regular expression (RE2 syntax), found anywhere in the text. */
export interface Pattern {
  readonly source: string;
  test(text: string): boolean;
}

/** A list of values, one a line, whose contents may be replaced while requests run. */
export interface ValueList {
  readonly path: string;
  has(value: AttributeValue): boolean;
  /** Canonical texts of all its values. */
  values(): Iterable<string>;
}

/** One operator with its operand, already of the subject's type. */
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
  /** Times only: not older than, or older than, this many milliseconds before now. A time in the future is neither. */
  | { readonly op: "within" | "olderThan"; readonly ms: number }
  | { readonly op: "semver"; readonly range: SemverRange }
  | { readonly op: "cidr"; readonly ranges: readonly AddressRange[] }
  | { readonly op: "inFile"; readonly list: ValueList };

/** A rule's condition as the configuration compiles it. */
export type Condition =
  | { readonly kind: "all" | "any"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  /** A share of the units, in per cent, drawn by `seed`, or by release and rule name where no seed is given. */
  | { readonly kind: "percent"; readonly percent: number; readonly seed: string | undefined }
  | { readonly kind: "test"; readonly subject: Subject; readonly test: Test };

/** A bare number from here up is more likely a time than a count. */
const firstLikelyTime = 1e11;

/** How a subject is named in an explanation. */
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

export function describeValue(value: AttributeValue | undefined): string {
  if (value === undefined) return "absent";
  if (typeof value === "number") return describeNumber(value);
  return typeof value === "string" ? JSON.stringify(value) : canonicalText(value);
}

/** What a test asks of a value, as the end of the sentence "it should be …". */
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
      return `within ${test.ms / 1000} s of now`;
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

function describeNumber(value: number): string {
  const date = new Date(value);
  const isLikelyTime = Math.abs(value) >= firstLikelyTime && !Number.isNaN(date.getTime());
  return isLikelyTime ? date.toISOString() : String(value);
}
