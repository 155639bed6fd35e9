import type { Condition, Subject, Test } from "./condition.ts";
import { describeSubject, describeTest, describeValue } from "./describe.ts";
import { percentile, percentSeed } from "./draw.ts";
import type { AttributeValue, Facts } from "./facts.ts";
import { compileTest } from "./test-value.ts";
import type { Unit } from "./unit.ts";

/** A condition compiled to closures, so that a request pays for no interpretation of it. */
export interface Check {
  holds(facts: Facts, nowMs: number, unit: Unit): boolean;
  /** Says why it holds or does not: only the parts that decided. It asks `holds`, so it cannot tell another story. */
  why(facts: Facts, nowMs: number, unit: Unit): string;
}

/** Compiles a rule's condition; release and rule name the draw of a `percent` without a seed. */
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
      return ask(condition.subject, condition.test);
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
      return checks.length === 0 ? "no condition" : checks.map((check) => check.why(facts, nowMs, unit)).join(", ");
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
      return `none of: ${checks.map((check) => check.why(facts, nowMs, unit)).join(", ")}`;
    },
  };
}

function not(check: Check): Check {
  return {
    holds: (facts, nowMs, unit) => !check.holds(facts, nowMs, unit),
    why: (facts, nowMs, unit) => `not (${check.why(facts, nowMs, unit)})`,
  };
}

function percent(wanted: number, seed: number): Check {
  return {
    holds: (_facts, _nowMs, unit) => percentile(unit, seed) < wanted,
    why: (_facts, _nowMs, unit) => `the unit's place is ${percentile(unit, seed).toFixed(2)}, wanted below ${wanted}`,
  };
}

function ask(subject: Subject, test: Test): Check {
  const read = reader(subject);
  const passes = compileTest(test);
  const wanted = `${describeSubject(subject)} should be ${describeTest(test)}`;
  return {
    holds: (facts, nowMs) => passes(read(facts), nowMs),
    why: (facts) => `${wanted}, is ${describeValue(read(facts))}`,
  };
}

function reader(subject: Subject): (facts: Facts) => AttributeValue | undefined {
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

/** A subject that tells something of the requester, and that a request may lack. */
type RequesterSubject = Extract<Subject, { readonly name: string }>;

/**
 * The facts about the requester that a condition reads: attributes, and named headers, cookies and query parameters. A
 * page load may lack them where the API call beside it has them, which is why rules are remembered. Method, host, path
 * and client address are of the request: every one has them.
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

/** Whether a request carries none of these; true where there are none. */
export function compileCarriesNone(subjects: readonly RequesterSubject[]): (facts: Facts) => boolean {
  const distinct = new Map(subjects.map((subject) => [`${subject.kind} ${subject.name}`, reader(subject)]));
  const readers = [...distinct.values()];
  return (facts) => {
    for (const read of readers) if (read(facts) !== undefined) return false;
    return true;
  };
}
