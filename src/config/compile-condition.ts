import type { Condition, Subject } from "../decide/condition.ts";
import type { CompileContext } from "./compile-context.ts";
import { compileTest, type TestSubject } from "./compile-test.ts";
import { type ConditionConfig, conditionWords, type TestConfig } from "./condition-schema.ts";
import type { Entry } from "./kit/collections.ts";
import { quote } from "./kit/tree.ts";
import type { KnownAttributes } from "./known-attributes.ts";

const lower = (text: string): string => text.toLowerCase();
const upper = (text: string): string => text.toUpperCase();

/** Raw facts that have no names below them, and how operands are brought to the form in which each is known. */
const plainFacts = {
  method: { what: "the method", type: "string", fold: upper },
  host: { what: "the host", type: "string", fold: lower },
  path: { what: "the path", type: "string" },
  clientAddress: { what: "the client's address", type: "ip" },
} as const satisfies Record<string, TestSubject>;

type PlainFact = keyof typeof plainFacts;
const namedFacts = ["header", "cookie", "query"] as const;

/** Compiles a condition as it is written; what has a problem is told and left out. */
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
    const locate = (...steps: (string | number)[]) => context.reading.spanOf(config, kind, ...steps);
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
  const { reading } = context;
  const { name, value } = entry;
  const attribute = attributes.use(name);
  if (attribute !== undefined) {
    const subject = { what: `the attribute ${quote(name)}`, type: attribute.type };
    const locate = (...steps: (string | number)[]) => reading.spanOf(entry, ...steps);
    return tests({ kind: "attribute", index: attribute.index, name }, compileTest(value, subject, locate, context));
  }
  if (attributes.names?.has(name) === false) {
    reading.unknownName(reading.keySpanOf(entry), "attribute", name, [...attributes.names, ...conditionWords]);
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
  const locate = (...steps: (string | number)[]) => context.reading.spanOf(entry, ...steps);
  return tests({ kind, name: entry.name }, compileTest(entry.value, subject, locate, context));
}

function compilePercent(config: ConditionConfig, { reading }: CompileContext): Condition | undefined {
  const { percent, seed } = config;
  if (percent === undefined) {
    if (seed !== undefined)
      reading.error(reading.keySpanOf(config, "seed"), "conflicting-keys", "a seed needs a percent beside it");
    return undefined;
  }
  if (typeof percent === "number") return { kind: "percent", percent, seed };
  if (seed !== undefined && percent.seed !== undefined) {
    reading.error(reading.keySpanOf(config, "seed"), "conflicting-keys", "percent has a seed of its own already");
  }
  return { kind: "percent", percent: percent.of, seed: percent.seed ?? seed };
}
