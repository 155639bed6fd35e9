import type { Condition, Test } from "../decide/condition.ts";
import type { AttributeValue } from "../decide/facts.ts";
import type { RuleSpec } from "../decide/release.ts";
import { canonicalText } from "../decide/value.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import type { RuleConfig } from "./release-schema.ts";

/** Warns of rules that can never be the first to match: after one that always does, or after one that asks the same. */
export function warnUnreachableRules(
  configs: readonly RuleConfig[],
  rules: readonly RuleSpec[],
  reading: Reading,
): void {
  const seen = new Map<string, RuleSpec>();
  let always: RuleSpec | undefined;
  for (const [index, rule] of rules.entries()) {
    const config = configs[index];
    const key = conditionKey(rule.when, rule.name);
    const same = seen.get(key);
    const before = always ?? same;
    if (before !== undefined && config !== undefined) {
      const why = always === undefined ? "asks the same" : "always matches";
      const message = `rule ${quote(rule.name)} is never reached: rule ${quote(before.name)} before it ${why}`;
      reading.warn(reading.spanOf(config, "name"), "unreachable", message);
    }
    if (same === undefined) seen.set(key, rule);
    if (truthOf(rule.when) === "always") always ??= rule;
  }
}

/** What can be told of a condition without a request. */
function truthOf(condition: Condition): "always" | "never" | "depends" {
  switch (condition.kind) {
    case "all":
      return combine(condition.of, "never", "always");
    case "any":
      return combine(condition.of, "always", "never");
    case "not": {
      const inner = truthOf(condition.of);
      if (inner === "depends") return inner;
      return inner === "always" ? "never" : "always";
    }
    case "percent":
      if (condition.percent <= 0) return "never";
      return condition.percent >= 100 ? "always" : "depends";
    case "test":
      return "depends";
  }
}

/** One part that is `deciding` settles it; if every part is `neutral`, or there is none, so is the whole. */
function combine<T extends "always" | "never">(parts: readonly Condition[], deciding: T, neutral: T): T | "depends" {
  let all = true;
  for (const part of parts) {
    const truth = truthOf(part);
    if (truth === deciding) return deciding;
    if (truth !== neutral) all = false;
  }
  return all ? neutral : "depends";
}

/** A text that is the same for conditions that ask the same, whatever the order of their parts. */
function conditionKey(condition: Condition, ruleName: string): string {
  switch (condition.kind) {
    case "all":
    case "any": {
      const parts = condition.of.map((part) => conditionKey(part, ruleName)).sort();
      return `${condition.kind}(${[...new Set(parts)].join("")})`;
    }
    case "not":
      return `not(${conditionKey(condition.of, ruleName)})`;
    case "percent":
      // Without a seed the share is drawn by the rule's name, so no two rules ask the same.
      return JSON.stringify(["percent", condition.percent, condition.seed ?? null, condition.seed ?? ruleName]);
    case "test":
      return JSON.stringify([condition.subject, condition.test.op, operandKey(condition.test)]);
  }
}

/** A test's operand as JSON; of a list, what it holds and not in which order. */
export function operandKey(test: Test): unknown {
  switch (test.op) {
    case "equals":
      return [valueKey(test.value)];
    case "in":
      return test.values.map(valueKey).sort();
    case "prefix":
    case "suffix":
    case "contains":
      return [...test.texts].sort();
    case "regex":
      return test.pattern.source;
    case "exists":
      return test.wanted;
    case "between":
      return [test.low, test.high];
    case "within":
    case "olderThan":
      return test.ms;
    case "semver":
      return test.range.source;
    case "cidr":
      return test.ranges.map((range) => range.text).sort();
    case "inFile":
      return test.list.path;
    default:
      return test.bound;
  }
}

const valueKey = (value: AttributeValue): string => `${typeof value} ${canonicalText(value)}`;
