import type { Rule, RuleProblem, RuleTest } from "./rule.ts";

/** A test of an alternative, or its opposite. */
export interface RuleLiteral {
  readonly test: RuleTest;
  readonly negated: boolean;
}

/** More alternatives than a person would write as routes. */
const maxAlternatives = 200;

/** The alternatives of a rule: a request matches the rule if it meets all tests of one of them. */
export function alternativesOf(rule: Rule): readonly (readonly RuleLiteral[])[] | RuleProblem {
  return expand(rule, false);
}

type Alternatives = readonly (readonly RuleLiteral[])[];

function expand(rule: Rule, negated: boolean): Alternatives | RuleProblem {
  if (rule.kind === "test") return [[{ test: rule, negated }]];
  if (rule.kind === "not") return expand(rule.of, !negated);
  // !(a && b) is !a || !b.
  const isOr = (rule.kind === "or") !== negated;
  let found: Alternatives = isOr ? [] : [[]];
  for (const part of rule.of) {
    const expanded = expand(part, negated);
    if ("problem" in expanded) return expanded;
    found = isOr ? [...found, ...expanded] : found.flatMap((before) => expanded.map((after) => [...before, ...after]));
    if (found.length > maxAlternatives) return { problem: `it has more than ${maxAlternatives} alternatives` };
  }
  return found;
}
