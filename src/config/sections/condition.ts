import type { Condition, Subject } from "../../decide/condition.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import { cookieName, headerName, queryName } from "../scalars.ts";
import { byShape, type Entry, list, mapOf, named } from "../schema-kit/collections.ts";
import { object, openObject, optional, required } from "../schema-kit/object.ts";
import { number, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";
import { compileTest, type TestConfig, type TestSubject, testSchema } from "./operators.ts";

const share = number({ what: "a percentage", min: 0, max: 100 });

const percentSchema = byShape("a percentage, or a map with of and seed", {
  scalar: share,
  map: object(
    {
      of: required("The share of units in per cent; fractions are allowed.", share),
      seed: optional("The seed of the draw. Default: the release's and the rule's name.", text({ minLength: 1 })),
    },
    { what: "a percentage" },
  ),
});

/** A condition as written. All entries must hold. */
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

/** A placeholder for a condition that could not be read. */
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

/** The keys of a condition that are not attribute names. */
const conditionWords = [
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

export const reservedAttributeNames: ReadonlySet<string> = new Set(conditionWords);

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
      clientAddress: optional("A test on the client's address, as derived with trustedProxies.", testSchema),
      percent: optional("A share of the units, drawn independently of the split.", percentSchema),
      seed: optional("The seed of percent. Default: the release's and the rule's name.", text({ minLength: 1 })),
      all: optional("Conditions that must all hold.", list(conditionSchema, { of: "conditions", min: 1 })),
      any: optional("Conditions of which at least one must hold.", list(conditionSchema, { of: "conditions", min: 1 })),
      not: optional("A condition that must not hold. Also true if a fact is unknown.", conditionSchema),
    },
    { description: "A test on the attribute of this name.", schema: testSchema },
    { what: "a condition" },
  ),
);

const lower = (text: string): string => text.toLowerCase();
const upper = (text: string): string => text.toUpperCase();

/** Facts without a name, and how operands are normalised to compare with them. */
const plainFacts = {
  method: { what: "the method", type: "string", fold: upper },
  host: { what: "the host", type: "string", fold: lower },
  path: { what: "the path", type: "string" },
  clientAddress: { what: "the client's address", type: "ip" },
} as const satisfies Record<string, TestSubject>;

type PlainFact = keyof typeof plainFacts;
const namedFacts = ["header", "cookie", "query"] as const;

/** Compiles a condition. Invalid parts are reported and left out. */
export function compileCondition(
  config: ConditionConfig,
  attributes: KnownAttributes,
  context: CompileContext,
): Condition {
  const parts: Condition[] = [];
  for (const entry of config.rest) parts.push(...compileAttribute(entry, attributes, context));
  for (const kind of namedFacts) {
    for (const entry of config[kind] ?? []) parts.push(...compileNamed(kind, entry, context));
  }
  for (const kind of Object.keys(plainFacts) as PlainFact[]) {
    const test = config[kind];
    if (test === undefined) continue;
    const locate = (...steps: (string | number)[]) => context.parsing.spanOf(config, kind, ...steps);
    parts.push(...tests({ kind }, compileTest(test, plainFacts[kind], locate, context)));
  }
  const percent = compilePercent(config, context);
  if (percent !== undefined) parts.push(percent);
  const nested = (inner: ConditionConfig): Condition => compileCondition(inner, attributes, context);
  if (config.all !== undefined) parts.push({ kind: "all", of: config.all.map(nested) });
  if (config.any !== undefined) parts.push({ kind: "any", of: config.any.map(nested) });
  if (config.not !== undefined) parts.push({ kind: "not", of: nested(config.not) });
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : { kind: "all", of: parts };
}

function tests(subject: Subject, found: ReturnType<typeof compileTest>): Condition[] {
  return found.map((test) => ({ kind: "test", subject, test }));
}

function compileAttribute(
  entry: Entry<TestConfig>,
  attributes: KnownAttributes,
  context: CompileContext,
): readonly Condition[] {
  const { parsing } = context;
  const { name, value } = entry;
  const attribute = attributes.use(name);
  if (attribute !== undefined) {
    const subject = { what: `the attribute ${quote(name)}`, type: attribute.type, zone: attribute.zone };
    const locate = (...steps: (string | number)[]) => parsing.spanOf(entry, ...steps);
    return tests({ kind: "attribute", index: attribute.index, name }, compileTest(value, subject, locate, context));
  }
  if (attributes.names?.has(name) === false) {
    parsing.unknownName(parsing.keySpanOf(entry), "attribute", name, [...attributes.names, ...conditionWords]);
  }
  return [];
}

function compileNamed(
  kind: (typeof namedFacts)[number],
  entry: Entry<TestConfig>,
  context: CompileContext,
): readonly Condition[] {
  const subject = {
    what: `the ${kind === "query" ? "query parameter" : kind} ${quote(entry.name)}`,
    type: "string",
  } as const;
  const locate = (...steps: (string | number)[]) => context.parsing.spanOf(entry, ...steps);
  return tests({ kind, name: entry.name }, compileTest(entry.value, subject, locate, context));
}

function compilePercent(config: ConditionConfig, { parsing }: CompileContext): Condition | undefined {
  const { percent, seed } = config;
  if (percent === undefined) {
    if (seed !== undefined) parsing.error(parsing.keySpanOf(config, "seed"), "conflicting-keys", "seed needs percent");
    return undefined;
  }
  if (typeof percent === "number") return { kind: "percent", percent, seed };
  if (seed !== undefined && percent.seed !== undefined) {
    parsing.error(parsing.keySpanOf(config, "seed"), "conflicting-keys", "percent already has its own seed");
  }
  return { kind: "percent", percent: percent.of, seed: percent.seed ?? seed };
}
