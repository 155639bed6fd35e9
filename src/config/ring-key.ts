import { createHash } from "node:crypto";
import { type Condition, describeSubject } from "../decide/condition.ts";
import { canonicalText } from "../decide/facts.ts";
import { conditionKey, operandKey, valuesOf } from "./condition-truth.ts";

const maxWords = 40;

/**
 * Names a rollout's ring: some words of its condition and eight hexadecimal digits of its hash. Equal for equal
 * conditions, regardless of the order of their parts and of where the attributes stand in the file. State files hold it.
 */
export function ringKey(when: Condition): string {
  const condition = withoutIndices(when);
  const digest = createHash("sha256").update(conditionKey(condition, "")).digest("hex").slice(0, 8);
  const words = wordsOf(condition)
    .replace(/[^A-Za-z0-9_]+/g, "-")
    .replace(/^-/, "")
    .slice(0, maxWords)
    .replace(/-$/, "");
  return `${words === "" ? "ring" : words}-${digest}`;
}

/** An attribute that is added above another must not make it another ring. */
function withoutIndices(condition: Condition): Condition {
  switch (condition.kind) {
    case "all":
    case "any":
      return { kind: condition.kind, of: condition.of.map(withoutIndices) };
    case "not":
      return { kind: "not", of: withoutIndices(condition.of) };
    case "test":
      return condition.subject.kind === "attribute"
        ? { ...condition, subject: { ...condition.subject, index: 0 } }
        : condition;
    case "percent":
      return condition;
  }
}

/** Equal for conditions with equal keys, so parts are sorted. */
function wordsOf(condition: Condition): string {
  switch (condition.kind) {
    case "all":
    case "any": {
      const parts = [...new Set(condition.of.map(wordsOf))].sort();
      return parts.join(condition.kind === "all" ? " " : " or ");
    }
    case "not":
      return `not ${wordsOf(condition.of)}`;
    case "percent":
      return `percent ${condition.percent}`;
    case "test": {
      const { subject, test } = condition;
      const values = valuesOf(test)?.map(canonicalText).sort();
      const operands = values ?? [test.op, ...[operandKey(test)].flat().map(String)];
      return [describeSubject(subject), ...operands].join(" ");
    }
  }
}
