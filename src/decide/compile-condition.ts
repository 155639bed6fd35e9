import { type Condition, describeFound, describeSubject, describeTest, type Subject, type Test } from "./condition.ts";
import { Draw, percentile, percentSeed } from "./draw.ts";
import type { AttributeValue, Facts } from "./facts.ts";
import type { Address, AddressRange } from "./ip-address.ts";
import type { Pattern, PatternScope } from "./pattern.ts";
import { type RuleSpec, useRollout, type Weights } from "./release-spec.ts";
import { compareSemver, type SemanticVersion } from "./semver.ts";
import type { Unit } from "./unit.ts";

/** A compiled rule. */
export interface Rule {
  readonly name: string;
  readonly check: Check;
  /** By the rule's weights; a plain `use` is a draw with one version. */
  readonly draw: Draw;
  readonly weights: Weights;
  /** `rollout`: those who get the baseline are then drawn by the rollout, if one runs. */
  readonly drawnBy: "use" | "rollout";
  readonly onRollback: "withdraw" | "keep";
  /** Whether `use` has weights: a held pin replaces only such a draw. */
  readonly isWeighted: boolean;
  /** Whether the condition reads facts about the requester: only such a rule is remembered by the pin. */
  readonly asksRequester: boolean;
  /** Whether these facts are all that the condition reads: it needs no unit, and they lack no fact about the requester. */
  readonly isDecidedBy: (facts: Facts) => boolean;
}

/** `baseline`: of the release's rollout; only a rule with `use: rollout` needs it. */
export function prepareRule(spec: RuleSpec, release: string, salt: string, baseline: string | undefined): Rule {
  const isWeighted = typeof spec.use !== "string";
  const weights = weightsOf(spec, baseline);
  const subjects = requesterSubjects(spec.when);
  return {
    name: spec.name,
    check: compileCondition(spec.when, release, spec.name),
    draw: new Draw(release, salt, weights),
    weights,
    drawnBy: spec.use === useRollout ? "rollout" : "use",
    onRollback: spec.onRollback ?? "withdraw",
    isWeighted,
    asksRequester: subjects.length > 0,
    isDecidedBy: asksUnit(spec.when) ? () => false : compileCarriesAll(subjects),
  };
}

function weightsOf({ name, use }: RuleSpec, baseline: string | undefined): Weights {
  if (use !== useRollout) return typeof use === "string" ? { [use]: 1 } : use;
  // The configuration was validated, so this is a defect of Perch.
  if (baseline === undefined) throw new TypeError(`rule ${name} is drawn by a rollout that its release does not have`);
  return { [baseline]: 1 };
}

/** A condition compiled to closures, so that requests do not interpret it. */
export interface Check {
  holds(facts: Facts, nowMs: number, unit: Unit): boolean;
  /** Explains the result by the parts that decided it. It calls `holds`, so the two cannot disagree. */
  why(facts: Facts, nowMs: number, unit: Unit): string;
}

/** Compiles a rule's condition. Release and rule name seed a `percent` that has no seed. */
export function compileCondition(condition: Condition, release: string, rule: string): Check {
  const compile = (one: Condition): Check => compileCondition(one, release, rule);
  switch (condition.kind) {
    case "all":
      return all(condition.of.map(compile));
    case "any":
      return any(condition.of.map(compile));
    case "not":
      return not(compile(condition.of));
    case "percent":
      return percent(condition.percent, percentSeed(release, rule, condition.seed));
    case "test":
      return testSubject(condition.subject, condition.test);
  }
}

function all(checks: readonly Check[]): Check {
  const [only] = checks;
  if (only !== undefined && checks.length === 1) return only;
  return {
    holds(facts, nowMs, unit) {
      for (const check of checks) if (!check.holds(facts, nowMs, unit)) return false;
      return true;
    },
    why(facts, nowMs, unit) {
      const failing = checks.find((check) => !check.holds(facts, nowMs, unit));
      if (failing !== undefined) return failing.why(facts, nowMs, unit);
      return checks.length === 0 ? "no condition" : checks.map((check) => check.why(facts, nowMs, unit)).join("; ");
    },
  };
}

function any(checks: readonly Check[]): Check {
  return {
    holds(facts, nowMs, unit) {
      for (const check of checks) if (check.holds(facts, nowMs, unit)) return true;
      return false;
    },
    why(facts, nowMs, unit) {
      const holding = checks.find((check) => check.holds(facts, nowMs, unit));
      if (holding !== undefined) return holding.why(facts, nowMs, unit);
      return `none of: ${checks.map((check) => check.why(facts, nowMs, unit)).join("; ")}`;
    },
  };
}

function not(check: Check): Check {
  return {
    holds: (facts, nowMs, unit) => !check.holds(facts, nowMs, unit),
    why: (facts, nowMs, unit) => `not (${check.why(facts, nowMs, unit)})`,
  };
}

function percent(limit: number, seed: number): Check {
  return {
    holds: (_facts, _nowMs, unit) => percentile(unit, seed) < limit,
    why: (_facts, _nowMs, unit) => `percentile: expected below ${limit}, got ${percentile(unit, seed).toFixed(2)}`,
  };
}

function testSubject(subject: Subject, test: Test): Check {
  const read = compileRead(subject);
  const passes = compileTest(test);
  const expected = `${describeSubject(subject)}: expected ${describeTest(test)}`;
  return {
    holds: (facts, nowMs) => passes(read(facts), nowMs, facts),
    why: (facts) => `${expected}, got ${describeFound(test, read(facts), facts)}`,
  };
}

function compileRead(subject: Subject): (facts: Facts) => AttributeValue | undefined {
  switch (subject.kind) {
    case "attribute": {
      const { index } = subject;
      return (facts) => facts.attribute(index);
    }
    case "header": {
      const { name } = subject;
      return (facts) => facts.header(name);
    }
    case "cookie": {
      const { name } = subject;
      return (facts) => facts.cookie(name);
    }
    case "query": {
      const { name } = subject;
      return (facts) => facts.query(name);
    }
    case "method":
      return (facts) => facts.method;
    case "host":
      return (facts) => facts.host;
    case "path":
      return (facts) => facts.path;
    case "clientAddress":
      return (facts) => facts.clientAddress;
  }
}

/** A fact about the requester, which a request may lack. */
type RequesterSubject = Extract<Subject, { readonly name: string }>;

/**
 * The facts about the requester that a condition reads: attributes, and named headers, cookies and query parameters. A
 * page load may lack them while the API calls of the same page have them, which is why rules are remembered. Method,
 * host, path and client address are facts about the request, and every request has them.
 */
export function requesterSubjects(condition: Condition): RequesterSubject[] {
  switch (condition.kind) {
    case "all":
    case "any":
      return condition.of.flatMap(requesterSubjects);
    case "not":
      return requesterSubjects(condition.of);
    case "percent":
      return [];
    case "test":
      return "name" in condition.subject ? [condition.subject] : [];
  }
}

/** Compiles a test for requests that carry none of these facts; always true if the list is empty. */
export function compileCarriesNone(subjects: readonly RequesterSubject[]): (facts: Facts) => boolean {
  const reads = distinctReads(subjects);
  return (facts) => {
    for (const read of reads) if (read(facts) !== undefined) return false;
    return true;
  };
}

/** Compiles a test for requests that carry all of these facts. */
function compileCarriesAll(subjects: readonly RequesterSubject[]): (facts: Facts) => boolean {
  const reads = distinctReads(subjects);
  return (facts) => reads.every((read) => read(facts) !== undefined);
}

function distinctReads(subjects: readonly RequesterSubject[]): readonly ReturnType<typeof compileRead>[] {
  const distinct = new Map(subjects.map((subject) => [`${subject.kind} ${subject.name}`, compileRead(subject)]));
  return [...distinct.values()];
}

/** Whether a condition depends on the unit. */
function asksUnit(condition: Condition): boolean {
  switch (condition.kind) {
    case "all":
    case "any":
      return condition.of.some(asksUnit);
    case "not":
      return asksUnit(condition.of);
    case "percent":
      return true;
    case "test":
      return false;
  }
}

/** Tests a fact's value; `nowMs` counts from the Unix epoch. */
export type ValueTest = (value: AttributeValue | undefined, nowMs: number, scope?: PatternScope) => boolean;

/** If matching is cut off before the end of the text, it counts as no match, and `scope` is notified. */
export function matchesPattern(pattern: Pattern, text: string, scope: PatternScope | undefined): boolean {
  const found = pattern.test(text, scope);
  if (found === undefined) scope?.patternSkipped();
  return found ?? false;
}

/**
 * Compiles one operator with its operand. An absent value, or one of another type than the operand, fails every test
 * except `exists: false`. Semantic versions are compared by precedence and addresses by value, not by spelling.
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
      return (value, _nowMs, scope) => typeof value === "string" && matchesPattern(pattern, value, scope);
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
  if (wanted.length <= shortList) return (value) => isOneOf(wanted, value);
  const values = new Set<AttributeValue | undefined>(wanted);
  return (value) => values.has(value);
}

/** To look up a text of a request in a set, V8 first adds it to its table of all texts: more than a few comparisons. */
const shortList = 8;

function isOneOf(wanted: readonly AttributeValue[], value: AttributeValue | undefined): boolean {
  for (const one of wanted) if (one === value) return true;
  return false;
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
