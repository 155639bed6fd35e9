import { cookieName, filePath, headerName, queryName } from "./domain-scalars.ts";
import { byShape, type Entry, list, mapOf, named, oneOrMore } from "./kit/collections.ts";
import { object, openObject, optional, required } from "./kit/object.ts";
import { duration } from "./kit/quantities.ts";
import { boolean, number, text } from "./kit/scalars.ts";
import type { Infer, Schema } from "./kit/schema.ts";

/** A thousand years: beyond that a duration is a slip. */
const longestAgeMs = 365_250 * 86_400_000;

const operand = text({ what: "a value" });
const age = duration({ minMs: 1, maxMs: longestAgeMs });

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
export type OperatorsConfig = Infer<typeof operatorTest>;

/** A scalar means equals, a list means one of. */
export type TestConfig = string | readonly string[] | Partial<OperatorsConfig>;

const several = list(operand, { of: "values", min: 1 });

/** A test on an attribute or a raw fact of a rule. */
const testSchema: Schema<TestConfig> = named("test", () =>
  byShape(testWanted, { scalar: operand, list: several, map: operatorTest }),
);

/** A test on a header or a query parameter of a route: the operators for texts. */
export const textTestSchema: Schema<TestConfig> = named("textTest", () =>
  byShape(testWanted, { scalar: operand, list: several, map: operatorTextTest }),
);

const share = number({ what: "a percentage", min: 0, max: 100 });

const percentSchema = byShape("a percentage, or a map of it and its seed", {
  scalar: share,
  map: object(
    {
      of: required("The share of the units, in per cent; fractions are allowed.", share),
      seed: optional(
        "What the share is drawn by, in place of the release's and the rule's name.",
        text({ minLength: 1 }),
      ),
    },
    { what: "a percentage" },
  ),
});

/** A rule's condition as it is written; every entry must hold. */
export interface ConditionConfig {
  readonly header: readonly Entry<TestConfig>[] | undefined;
  readonly cookie: readonly Entry<TestConfig>[] | undefined;
  readonly query: readonly Entry<TestConfig>[] | undefined;
  readonly method: TestConfig | undefined;
  readonly host: TestConfig | undefined;
  readonly path: TestConfig | undefined;
  readonly clientAddress: TestConfig | undefined;
  readonly percent: Infer<typeof percentSchema> | undefined;
  readonly seed: string | undefined;
  readonly all: readonly ConditionConfig[] | undefined;
  readonly any: readonly ConditionConfig[] | undefined;
  readonly not: ConditionConfig | undefined;
  /** Tests on attributes, by name. */
  readonly rest: readonly Entry<TestConfig>[];
}

/** Stands in for a condition that could not be read. */
export const emptyCondition: ConditionConfig = {
  header: undefined,
  cookie: undefined,
  query: undefined,
  method: undefined,
  host: undefined,
  path: undefined,
  clientAddress: undefined,
  percent: undefined,
  seed: undefined,
  all: undefined,
  any: undefined,
  not: undefined,
  rest: [],
};

/** The keys of a condition that name no attribute. */
export const conditionWords = [
  "header",
  "cookie",
  "query",
  "method",
  "host",
  "path",
  "clientAddress",
  "percent",
  "seed",
  "all",
  "any",
  "not",
] as const;

export const conditionSchema: Schema<ConditionConfig> = named("condition", () =>
  openObject(
    {
      header: optional("Tests on request headers, by name.", mapOf(headerName, testSchema, { of: "headers", min: 1 })),
      cookie: optional("Tests on cookies, by name.", mapOf(cookieName, testSchema, { of: "cookies", min: 1 })),
      query: optional(
        "Tests on query parameters, by name.",
        mapOf(queryName, testSchema, { of: "parameters", min: 1 }),
      ),
      method: optional("A test on the request's method.", testSchema),
      host: optional("A test on the request's host, in lower case and without its port.", testSchema),
      path: optional("A test on the request's path, without the query.", testSchema),
      clientAddress: optional("A test on the client's address, as derived by trustedProxies.", testSchema),
      percent: optional("A share of the units, drawn apart from the split.", percentSchema),
      seed: optional(
        "What percent is drawn by, in place of the release's and the rule's name.",
        text({ minLength: 1 }),
      ),
      all: optional("Conditions that must all hold.", list(conditionSchema, { of: "conditions", min: 1 })),
      any: optional("Conditions of which one must hold.", list(conditionSchema, { of: "conditions", min: 1 })),
      not: optional("A condition that must not hold. Also true where a fact is unknown.", conditionSchema),
    },
    { description: "A test on the attribute of this name.", schema: testSchema },
    { what: "a condition" },
  ),
);
