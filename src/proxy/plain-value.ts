import type { AttributeType, AttributeValue } from "../decide/facts.ts";
import { canonicalText } from "../decide/value.ts";

/** An attribute's value as JSON can hold it: times in RFC 3339, versions and addresses as their text. */
export type PlainValue = string | number | boolean;

/** The furthest that a JavaScript Date reaches. */
const furthestMs = 8.64e15;

export function plainValue(type: AttributeType, value: AttributeValue): PlainValue {
  if (type === "time" && typeof value === "number" && Math.abs(value) <= furthestMs) {
    return new Date(value).toISOString();
  }
  return typeof value === "object" ? canonicalText(value) : value;
}
