import type { Test } from "../../decide/condition.ts";
import { type AttributeType, type AttributeValue, parseValue } from "../../decide/facts.ts";
import { parseAddressRange } from "../../decide/ip-address.ts";
import { parseSemverRange } from "../../decide/semver.ts";
import type { CompileContext, Locate } from "../compile-context.ts";
import { compilePattern } from "../pattern.ts";
import { filePath, noRange } from "../scalars.ts";
import { byShape, list, named, oneOrMore } from "../schema-kit/collections.ts";
import { object, optional } from "../schema-kit/object.ts";
import { boolean, duration, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

/** A thousand years: beyond that a duration is a slip. */
const maxAgeMs = 365_250 * 86_400_000;

const operand = text({ what: "a value" });
const age = duration({ minMs: 1, maxMs: maxAgeMs });

const textOperators = {
  equals: optional("The value is this one.", operand),
  in: optional("The value is one of these.", list(operand, { of: "values", min: 1 })),
  prefix: optional("The text begins with this, or with one of these.", oneOrMore(operand, "texts")),
  suffix: optional("The text ends with this, or with one of these.", oneOrMore(operand, "texts")),
  contains: optional("The text holds this, or one of these.", oneOrMore(operand, "texts")),
  regex: optional("The pattern (RE2 syntax, linear time) is found anywhere in the text.", operand),
  exists: optional("Whether the value is there at all.", boolean()),
};

const operators = {
  ...textOperators,
  before: optional("Less than this number or earlier than this time.", operand),
  after: optional("More than this number or later than this time.", operand),
  atLeast: optional("This number or time, or any above.", operand),
  atMost: optional("This number or time, or any below.", operand),
  between: optional("From the first to the second of two numbers or times, both included.", {
    ...list(operand, { of: "bounds", min: 2, max: 2 }),
  }),
  within: optional("A time that is at most this long ago.", age),
  olderThan: optional("A time that is longer ago than this.", age),
  semver: optional('A range of semantic versions, such as ">=4.1 <5".', operand),
  cidr: optional("The address is in this range, or in one of these.", oneOrMore(operand, "ranges")),
  inFile: optional("The value is one of a file's, one value a line.", filePath),
};

const testWanted = "a value, a list of values or a map of operators";

const operatorTest = object(operators, { what: "a test", atLeastOneOf: Object.keys(operators) });
const operatorTextTest = object(textOperators, { what: "a test", atLeastOneOf: Object.keys(textOperators) });

/** Several operators in one map must all hold. */
type OperatorsConfig = Infer<typeof operatorTest>;

/** A scalar means equals, a list means one of. */
export type TestConfig = string | readonly string[] | Partial<OperatorsConfig>;

const several = list(operand, { of: "values", min: 1 });

/** A test on an attribute or a raw fact of a rule. */
export const testSchema: Schema<TestConfig> = named("test", () =>
  byShape(testWanted, { scalar: operand, list: several, map: operatorTest }),
);

/** A test on a header or a query parameter of a route: the operators for texts. */
export const textTestSchema: Schema<TestConfig> = named("textTest", () =>
  byShape(testWanted, { scalar: operand, list: several, map: operatorTextTest }),
);

type Operator = keyof OperatorsConfig;

const anyType = ["equals", "in", "exists", "inFile"] as const;
const ordered = [...anyType, "before", "after", "atLeast", "atMost", "between"] as const;

/** Which operators make sense for a type. */
const operatorsOf: Readonly<Record<AttributeType, readonly Operator[]>> = {
  string: [...anyType, "prefix", "suffix", "contains", "regex"],
  number: ordered,
  boolean: anyType,
  time: [...ordered, "within", "olderThan"],
  semver: [...anyType, "semver"],
  ip: [...anyType, "cidr"],
};

/** How a value of the type is written, for the messages. */
const exampleOf: Readonly<Record<AttributeType, string>> = {
  string: "a text",
  number: "a number such as 42",
  boolean: "true or false",
  time: "a time such as 2026-01-01 or 2026-01-01T08:00:00Z",
  semver: "a version such as 4.2.0",
  ip: "an IP address",
};

/** What a test looks at, as far as its operands depend on it. */
export interface TestSubject {
  /** For messages: `the attribute "region"`. */
  readonly what: string;
  readonly type: AttributeType;
  /** Brings an operand to the form in which the fact is known, as a host is in lower case. */
  readonly fold?: (text: string) => string;
}

/**
 * Compiles a test to operators with operands of the subject's type; all must hold. An operator with a problem is told
 * and left out.
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
    const value = this.#value(text, steps);
    return value === undefined ? [] : [{ op: "equals", value }];
  }

  oneOf(texts: readonly string[], ...steps: (string | number)[]): readonly Test[] {
    const values = texts
      .map((text, index) => this.#value(text, [...steps, index]))
      .filter((value) => value !== undefined);
    return values.length < texts.length ? [] : [{ op: "in", values }];
  }

  operators(operators: Partial<OperatorsConfig>): readonly Test[] {
    const fitting = operatorsOf[this.#subject.type];
    const tests: Test[] = [];
    for (const operator of Object.keys(operators) as Operator[]) {
      if (operators[operator] === undefined) continue;
      if (fitting.includes(operator)) tests.push(...this.#operator(operator, operators));
      else this.#refuseOperator(operator, operators, fitting);
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
        const list = this.#context.list(operators.inFile ?? "", this.#subject.type, this.#locate(operator));
        return list === undefined ? [] : [{ op: "inFile", list }];
      }
    }
  }

  #regex(source: string): readonly Test[] {
    const pattern = compilePattern(source);
    if (!("problem" in pattern)) return [{ op: "regex", pattern }];
    const message = `${quote(source)} is not a regular expression that can be used: ${pattern.problem}`;
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
    const message = `${quote(source)} is not a range of versions`;
    this.#context.parsing.error(this.#locate("semver"), "bad-value", message, 'write it as in ">=4.1 <5"');
    return [];
  }

  #cidr(texts: readonly string[]): readonly Test[] {
    const ranges = texts.map(parseAddressRange).filter((range) => range !== undefined);
    if (ranges.length === texts.length) return [{ op: "cidr", ranges }];
    for (const [index, text] of texts.entries()) {
      if (parseAddressRange(text) !== undefined) continue;
      this.#context.parsing.error(this.#locate("cidr", index), "bad-value", ...noRange(text));
    }
    return [];
  }

  #bound(text: string, steps: (string | number)[]): number | undefined {
    const value = this.#value(text, steps);
    return typeof value === "number" ? value : undefined;
  }

  #value(written: string, steps: (string | number)[]): AttributeValue | undefined {
    const { type, what } = this.#subject;
    const value = parseValue(type, this.#fold(written));
    if (value !== undefined) return value;
    const range = type === "ip" && parseAddressRange(written) !== undefined;
    const message = `${quote(written)} is not ${exampleOf[type]}, as ${what} is`;
    const suggestion = range ? `for a range write { cidr: ${written} }` : undefined;
    this.#context.parsing.error(this.#locate(...steps), "bad-value", message, suggestion);
    return undefined;
  }

  #fold(text: string): string {
    return this.#subject.fold?.(text) ?? text;
  }

  #refuseOperator(operator: Operator, operators: Partial<OperatorsConfig>, fitting: readonly Operator[]): void {
    const { what, type } = this.#subject;
    const span = this.#context.parsing.keySpanOf(operators, operator);
    const message = `${operator} does not fit ${what}, which is of type ${type}`;
    this.#context.parsing.error(span, "wrong-operator", message, `operators that fit are ${fitting.join(", ")}`);
  }
}
