import type { Test } from "../../decide/condition.ts";
import { type AttributeType, type AttributeValue, parseValue } from "../../decide/facts.ts";
import { parseAddressRange } from "../../decide/ip-address.ts";
import { parseSemverRange } from "../../decide/semver.ts";
import { timeForms } from "../../decide/time.ts";
import type { TimeZone } from "../../decide/time-zone.ts";
import type { CompileContext, Locate } from "../compile-context.ts";
import { compilePattern, warnOfShortLimit } from "../pattern.ts";
import { filePath, notARange } from "../scalars.ts";
import { byShape, list, named, oneOrMore } from "../schema-kit/collections.ts";
import { object, optional } from "../schema-kit/object.ts";
import { boolean, duration, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

/** A thousand years; longer durations are typos. */
const maxAgeMs = 365_250 * 86_400_000;

const operand = text({ what: "a value" });
const age = duration({ minMs: 1, maxMs: maxAgeMs });

const textOperators = {
  equals: optional("The value equals this one.", operand),
  in: optional("The value is one of these.", list(operand, { of: "values", min: 1 })),
  prefix: optional("The string starts with this, or with one of these.", oneOrMore(operand, "strings")),
  suffix: optional("The string ends with this, or with one of these.", oneOrMore(operand, "strings")),
  contains: optional("The string contains this, or one of these.", oneOrMore(operand, "strings")),
  regex: optional("The pattern (RE2 syntax, linear time) matches anywhere in the string.", operand),
  exists: optional("Whether the value is present.", boolean()),
};

const operators = {
  ...textOperators,
  before: optional("The number or time is below this one.", operand),
  after: optional("The number or time is above this one.", operand),
  atLeast: optional("The number or time is this one or above.", operand),
  atMost: optional("The number or time is this one or below.", operand),
  between: optional("The number or time is between these two, both included.", {
    ...list(operand, { of: "bounds", min: 2, max: 2 }),
  }),
  within: optional("The time is at most this long ago.", age),
  olderThan: optional("The time is longer ago than this.", age),
  semver: optional('The version is in this semver range, such as ">=4.1 <5".', operand),
  cidr: optional("The address is in this range, or in one of these.", oneOrMore(operand, "ranges")),
  inFile: optional("The value is in this file, which has one value per line.", filePath),
};

const testWanted = "a value, a list of values or a map of operators";

const operatorTest = object(operators, { what: "a test", atLeastOneOf: Object.keys(operators) });
const operatorTextTest = object(textOperators, { what: "a test", atLeastOneOf: Object.keys(textOperators) });

/** All operators of a map must hold. */
type OperatorsConfig = Infer<typeof operatorTest>;

/** A scalar means `equals`, a list means `in`. */
export type TestConfig = string | readonly string[] | Partial<OperatorsConfig>;

const several = list(operand, { of: "values", min: 1 });

/** A test of a rule, on an attribute or another fact. */
export const testSchema: Schema<TestConfig> = named("test", () =>
  byShape(testWanted, { scalar: operand, list: several, map: operatorTest }),
);

/** A test of a route, on a header or a query parameter: only operators for strings. */
export const textTestSchema: Schema<TestConfig> = named("textTest", () =>
  byShape(testWanted, { scalar: operand, list: several, map: operatorTextTest }),
);

type Operator = keyof OperatorsConfig;

const anyType = ["equals", "in", "exists", "inFile"] as const;
const ordered = [...anyType, "before", "after", "atLeast", "atMost", "between"] as const;

/** The operators that each type supports. */
const operatorsOf: Readonly<Record<AttributeType, readonly Operator[]>> = {
  string: [...anyType, "prefix", "suffix", "contains", "regex"],
  number: ordered,
  boolean: anyType,
  time: [...ordered, "within", "olderThan"],
  semver: [...anyType, "semver"],
  ip: [...anyType, "cidr"],
};

/** A value of each type, for messages. */
const exampleOf: Readonly<Record<AttributeType, string>> = {
  string: "a string",
  number: "a number such as 42",
  boolean: "true or false",
  time: "a time such as 2026-01-01 or 2026-01-01T08:00:00Z",
  semver: "a version such as 4.2.0",
  ip: "an IP address",
};

/** The subject of a test, as far as its operands depend on it. */
export interface TestSubject {
  /** For messages: `the attribute "region"`. */
  readonly what: string;
  readonly type: AttributeType;
  /** Of times without a zone. Default: UTC. */
  readonly zone?: TimeZone | undefined;
  /** Normalises an operand like the fact, such as a host to lower case. */
  readonly fold?: (text: string) => string;
}

/**
 * Compiles a test to operators with operands of the subject's type; all must hold. Invalid operators are reported and
 * left out.
 */
export function compileTest(
  test: TestConfig,
  subject: TestSubject,
  locate: Locate,
  context: CompileContext,
): readonly Test[] {
  const compiler = new TestCompiler(subject, locate, context);
  if (typeof test === "string") return compiler.equals(test);
  return isList(test) ? compiler.oneOf(test) : compiler.operators(test);
}

const isList = (test: TestConfig): test is readonly string[] => Array.isArray(test);

class TestCompiler {
  readonly #subject: TestSubject;
  readonly #locate: Locate;
  readonly #context: CompileContext;

  constructor(subject: TestSubject, locate: Locate, context: CompileContext) {
    this.#subject = subject;
    this.#locate = locate;
    this.#context = context;
  }

  equals(text: string, ...steps: (string | number)[]): readonly Test[] {
    this.#warnOfPattern(text, steps);
    const value = this.#value(text, steps);
    return value === undefined ? [] : [{ op: "equals", value }];
  }

  oneOf(texts: readonly string[], ...steps: (string | number)[]): readonly Test[] {
    for (const [index, text] of texts.entries()) this.#warnOfPattern(text, [...steps, index]);
    const values = texts
      .map((text, index) => this.#value(text, [...steps, index]))
      .filter((value) => value !== undefined);
    return values.length < texts.length ? [] : [{ op: "in", values }];
  }

  operators(operators: Partial<OperatorsConfig>): readonly Test[] {
    const supported = operatorsOf[this.#subject.type];
    const tests: Test[] = [];
    for (const operator of Object.keys(operators) as Operator[]) {
      if (operators[operator] === undefined) continue;
      if (supported.includes(operator)) tests.push(...this.#operator(operator, operators));
      else this.#refuseOperator(operator, operators, supported);
    }
    return tests;
  }

  #operator(operator: Operator, operators: Partial<OperatorsConfig>): readonly Test[] {
    switch (operator) {
      case "equals":
        return this.equals(operators.equals ?? "", operator);
      case "in":
        return this.oneOf(operators.in ?? [], operator);
      case "prefix":
      case "suffix":
      case "contains":
        for (const text of operators[operator] ?? []) this.#warnOfPattern(text, [operator]);
        return [{ op: operator, texts: (operators[operator] ?? []).map((text) => this.#fold(text)) }];
      case "regex":
        return this.#regex(operators.regex ?? "");
      case "exists":
        return [{ op: "exists", wanted: operators.exists ?? true }];
      case "before":
      case "after":
      case "atLeast":
      case "atMost": {
        const bound = this.#bound(operators[operator] ?? "", [operator]);
        return bound === undefined ? [] : [{ op: operator, bound }];
      }
      case "between":
        return this.#between(operators.between ?? []);
      case "within":
      case "olderThan":
        return [{ op: operator, ms: operators[operator] ?? 0 }];
      case "semver":
        return this.#semver(operators.semver ?? "");
      case "cidr":
        return this.#cidr(operators.cidr ?? []);
      case "inFile": {
        const list = this.#context.list(operators.inFile ?? "", this.#subject, this.#locate(operator));
        return list === undefined ? [] : [{ op: "inFile", list }];
      }
    }
  }

  /** Warns of what a reader may take for a pattern. A value such as the media range text/* has a slash before it. */
  #warnOfPattern(text: string, steps: (string | number)[]): void {
    const { type, what } = this.#subject;
    const part = /^\*(?=.)|(?<=[^*])\*$|\.\*|^\^/.exec(text)?.[0];
    const isMediaRange = what.startsWith("the header") && text.includes("/*");
    // A host with * is no host, which is another warning.
    if (type !== "string" || part === undefined || isMediaRange || what === "the host") return;
    const message = `${quote(part)} in ${quote(text)} is taken literally: only values that contain it match`;
    this.#context.parsing.warn(this.#locate(...steps), "risky", message, "use prefix, suffix, or regex for patterns");
  }

  #regex(source: string): readonly Test[] {
    const pattern = compilePattern(source);
    if (!("problem" in pattern)) {
      warnOfShortLimit(pattern, "text", this.#locate("regex"), this.#context.parsing);
      return [{ op: "regex", pattern }];
    }
    const message = `${quote(source)} is not a valid regular expression: ${pattern.problem}`;
    this.#context.parsing.error(this.#locate("regex"), "bad-regex", message);
    return [];
  }

  #between(bounds: readonly string[]): readonly Test[] {
    const [low, high] = bounds.map((text, index) => this.#bound(text, ["between", index]));
    if (low === undefined || high === undefined) return [];
    if (low <= high) return [{ op: "between", low, high }];
    this.#context.parsing.error(this.#locate("between"), "bad-value", "the first bound of between is above the second");
    return [];
  }

  #semver(source: string): readonly Test[] {
    const range = parseSemverRange(source);
    if (range !== undefined) return [{ op: "semver", range }];
    const message = `${quote(source)} is not a semver range`;
    this.#context.parsing.error(this.#locate("semver"), "bad-value", message, 'write it as in ">=4.1 <5"');
    return [];
  }

  #cidr(texts: readonly string[]): readonly Test[] {
    const ranges = texts.map(parseAddressRange).filter((range) => range !== undefined);
    if (ranges.length === texts.length) return [{ op: "cidr", ranges }];
    for (const [index, text] of texts.entries()) {
      if (parseAddressRange(text) !== undefined) continue;
      this.#context.parsing.error(this.#locate("cidr", index), "bad-value", ...notARange(text));
    }
    return [];
  }

  #bound(text: string, steps: (string | number)[]): number | undefined {
    const value = this.#value(text, steps);
    return typeof value === "number" ? value : undefined;
  }

  #value(written: string, steps: (string | number)[]): AttributeValue | undefined {
    const { type, zone, what } = this.#subject;
    const value = parseValue(type, this.#fold(written), zone);
    if (value !== undefined) return value;
    const range = type === "ip" && parseAddressRange(written) !== undefined;
    const message = `${quote(written)} is not ${exampleOf[type]}, which ${what} requires`;
    const forms = type === "time" ? `write ${timeForms}` : undefined;
    const suggestion = range ? `for a range, write { cidr: ${written} }` : forms;
    this.#context.parsing.error(this.#locate(...steps), "bad-value", message, suggestion);
    return undefined;
  }

  #fold(text: string): string {
    return this.#subject.fold?.(text) ?? text;
  }

  #refuseOperator(operator: Operator, operators: Partial<OperatorsConfig>, supported: readonly Operator[]): void {
    const { what, type } = this.#subject;
    const span = this.#context.parsing.keySpanOf(operators, operator);
    const message = `${operator} cannot be used on ${what}, which is of type ${type}`;
    this.#context.parsing.error(span, "wrong-operator", message, `the operators for it are ${supported.join(", ")}`);
  }
}
