import type { Subject, Test } from "./condition.ts";
import type { AttributeValue } from "./facts.ts";
import { canonicalText } from "./value.ts";

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
