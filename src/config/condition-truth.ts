import { compileTest } from "../decide/compile-condition.ts";
import { type Condition, describeSubject, describeTest, type Subject, type Test } from "../decide/condition.ts";
import { type AttributeValue, canonicalText } from "../decide/facts.ts";
import { parseSemver, type SemanticVersion } from "../decide/semver.ts";
import type { AttributeSpec } from "../identify/attributes.ts";

/** What is known about a condition without a request. */
export type Truth = "always" | "depends" | { readonly never: string };

type SubjectTest = Pick<Extract<Condition, { kind: "test" }>, "subject" | "test">;

/** Conservative: a condition that cannot hold may count as `depends`. */
export function truthOf(condition: Condition, attributes: readonly AttributeSpec[], rule: string): Truth {
  const truth = (one: Condition): Truth => truthOf(one, attributes, rule);
  switch (condition.kind) {
    case "all":
      return allOf(conjuncts(condition), truth, attributes, rule);
    case "any":
      return anyOf(condition.of.map(truth));
    case "not":
      return negated(truth(condition.of));
    case "percent":
      if (condition.percent <= 0) return { never: "its percentage is 0" };
      return condition.percent >= 100 ? "always" : "depends";
    case "test": {
      const why = whyImpossible([condition], attributes);
      return why === undefined ? "depends" : { never: why };
    }
  }
}

/** The parts of nested `all`, in one list. */
export function conjuncts(condition: Condition): readonly Condition[] {
  return condition.kind === "all" ? condition.of.flatMap(conjuncts) : [condition];
}

function allOf(
  parts: readonly Condition[],
  truth: (part: Condition) => Truth,
  attributes: readonly AttributeSpec[],
  rule: string,
): Truth {
  const truths = parts.map(truth);
  const never = truths.find((one) => typeof one === "object");
  if (never !== undefined) return never;
  const why = whyImpossible(
    parts.filter((part) => part.kind === "test"),
    attributes,
  );
  if (why !== undefined) return { never: why };
  const keys = new Set(parts.map((part) => conditionKey(part, rule)));
  const excludesItself = parts.some((part) => part.kind === "not" && keys.has(conditionKey(part.of, rule)));
  if (excludesItself) return { never: "it has a condition and the same one in not" };
  return truths.every((one) => one === "always") ? "always" : "depends";
}

function anyOf(truths: readonly Truth[]): Truth {
  if (truths.includes("always")) return "always";
  const [first] = truths;
  return typeof first === "object" && truths.every((one) => typeof one === "object") ? first : "depends";
}

function negated(truth: Truth): Truth {
  if (truth === "depends") return truth;
  return truth === "always" ? { never: "its not is true for every request" } : "always";
}

/** Why no request meets all of these tests; undefined if one may. `attributes` are those of the subjects' indices. */
export function whyImpossible(tests: readonly SubjectTest[], attributes: readonly AttributeSpec[]): string | undefined {
  for (const { subject, test } of tests) {
    const why = whyAlone(subject, test, attributes);
    if (why !== undefined) return why;
  }
  for (const [at, { subject, test }] of tests.entries()) {
    for (const other of tests.slice(at + 1)) {
      if (subjectKey(other.subject) !== subjectKey(subject) || !excludes(test, other.test)) continue;
      return `no value of ${describeSubject(subject)} meets both ${describeTest(test)} and ${describeTest(other.test)}`;
    }
  }
  return undefined;
}

const subjectKey = (subject: Subject): string => JSON.stringify([subject.kind, "name" in subject ? subject.name : ""]);

function whyAlone(subject: Subject, test: Test, attributes: readonly AttributeSpec[]): string | undefined {
  if (test.op === "semver" && isEmptyRange(test.range)) return `no version is in the range ${test.range.source}`;
  if (test.op === "regex" && test.pattern.source.startsWith("/^")) {
    return `nothing is before the begin of the text, which ^ matches: write ${test.pattern.source} without the slashes around it`;
  }
  if (test.op === "regex" && subject.kind === "path" && /^\^[A-Za-z0-9][^|]*$/.test(test.pattern.source)) {
    return `every path begins with / (${test.pattern.source})`;
  }
  if (test.op === "regex" && subject.kind === "path" && /^[^|]*\\\?[^|]*$/.test(test.pattern.source)) {
    return `a path has no query (${test.pattern.source})`;
  }
  if (test.op === "exists") return undefined;
  const texts = wholeTexts(test);
  if (
    subject.kind === "host" &&
    texts.length > 0 &&
    texts.every((text) => /[*:/]/.test(text) && !text.startsWith("["))
  ) {
    return `a host is compared without scheme and port, and literally (${texts.join(", ")})`;
  }
  const fromBegin = test.op === "prefix" ? test.texts : texts;
  if (subject.kind === "path" && fromBegin.length > 0 && fromBegin.every((text) => !/^[/*][^?#]*$/.test(text))) {
    return `every path begins with / and has no query (${fromBegin.join(", ")})`;
  }
  return subject.kind === "attribute" ? whyNoPlace(texts, attributes[subject.index]) : undefined;
}

/** The values that a test compares with; empty if it does not list them. */
function wholeTexts(test: Test): readonly string[] {
  return valuesOf(test)?.map(canonicalText) ?? [];
}

export function valuesOf(test: Test): readonly AttributeValue[] | undefined {
  if (test.op === "equals") return [test.value];
  return test.op === "in" ? test.values : undefined;
}

const placeCodes = {
  country: { form: /^[A-Z]{2}$/, example: "CN" },
  continent: { form: /^[A-Z]{2}$/, example: "AS" },
  region: { form: /^[A-Z]{2}-[A-Z0-9]{1,3}$/, example: "CN-SH" },
  city: { form: /(?:)/, example: "Shanghai" },
} as const;

/** The database gives codes; only where all sources are of it can no other value come. */
function whyNoPlace(texts: readonly string[], attribute: AttributeSpec | undefined): string | undefined {
  const misfits = misfitPlaces(texts, attribute);
  return misfits === undefined || misfits.texts.length < texts.length ? undefined : misfits.message;
}

/** Texts that the database never gives for this attribute; undefined if there are none. */
function misfitPlaces(texts: readonly string[], attribute: AttributeSpec | undefined) {
  const [source, ...others] = attribute?.from ?? [];
  if (source?.kind !== "geo" || others.length > 0) return undefined;
  const { form, example } = placeCodes[source.field];
  const misfits = texts.filter((text) => !form.test(text));
  if (misfits.length === 0) return undefined;
  return {
    texts: misfits,
    message: `the database gives a ${source.field} as in ${example}, not ${misfits.join(", ")}`,
  };
}

/** Says which values of a condition's tests, however nested, the database never gives; undefined if there are none. */
export function misfitPlacesOf(condition: Condition, attributes: readonly AttributeSpec[]): string | undefined {
  switch (condition.kind) {
    case "all":
    case "any":
      return condition.of.map((part) => misfitPlacesOf(part, attributes)).find((found) => found !== undefined);
    case "not":
      return misfitPlacesOf(condition.of, attributes);
    case "percent":
      return undefined;
    case "test": {
      const { subject, test } = condition;
      const attribute = subject.kind === "attribute" ? attributes[subject.index] : undefined;
      return misfitPlaces(wholeTexts(test), attribute)?.message;
    }
  }
}

/** Whether every request that meets `narrow` meets `wide`. Conservative: if that is not certain, it is false. */
export function isImplied(wide: Condition, wideRule: string, narrow: Condition, narrowRule: string): boolean {
  const parts = conjuncts(narrow);
  const keys = new Set(parts.map((part) => conditionKey(part, narrowRule)));
  return conjuncts(wide).every(
    (part) =>
      keys.has(conditionKey(part, wideRule)) ||
      (part.kind === "test" &&
        parts.some(
          (other) =>
            other.kind === "test" &&
            subjectKey(other.subject) === subjectKey(part.subject) &&
            testImplies(other.test, part.test),
        )),
  );
}

/** Whether every value that meets `narrow` meets `wide`, two tests of one subject. */
function testImplies(narrow: Test, wide: Test): boolean {
  if (wide.op === "exists") return wide.wanted && (narrow.op !== "exists" || narrow.wanted);
  if (["inFile", "within", "olderThan"].includes(wide.op)) return false;
  const values = valuesOf(narrow);
  const test = compileTest(wide);
  if (values !== undefined) return values.every((value) => test(value, 0));
  if (narrow.op === "prefix" && wide.op === "prefix") return narrow.texts.every((text) => test(text, 0));
  return isRange(narrow) && isRange(wide) && test(lowest(narrow), 0) && test(highest(narrow), 0);
}

const isRange = ({ op }: Test): boolean => ["after", "before", "atLeast", "atMost", "between"].includes(op);

/** Whether no value meets both tests of one subject. */
function excludes(one: Test, other: Test): boolean {
  if (one.op === "exists" || other.op === "exists") return excludesPresence(one, other);
  // The contents of a file change, and a text may be longer than a pattern's limit.
  if ([one.op, other.op].some((op) => op === "inFile")) return false;
  if (one.op === "within" || other.op === "within") return excludesAge(one, other) || excludesAge(other, one);
  if (one.op === "olderThan" || other.op === "olderThan") return false;
  const values = valuesOf(one) ?? valuesOf(other);
  if (values !== undefined) {
    const test = compileTest(valuesOf(one) === undefined ? one : other);
    return values.every((value) => !test(value, 0));
  }
  const [low, high] = [Math.max(lowest(one), lowest(other)), Math.min(highest(one), highest(other))];
  if (low !== high) return low > high;
  return [one, other].some(({ op }) => op === "after" || op === "before");
}

function excludesPresence(one: Test, other: Test): boolean {
  const wanted = (test: Test): boolean => test.op !== "exists" || test.wanted;
  return wanted(one) !== wanted(other);
}

function excludesAge(young: Test, old: Test): boolean {
  return young.op === "within" && old.op === "olderThan" && young.ms <= old.ms;
}

function lowest(test: Test): number {
  if (test.op === "after" || test.op === "atLeast") return test.bound;
  return test.op === "between" ? test.low : Number.NEGATIVE_INFINITY;
}

function highest(test: Test): number {
  if (test.op === "before" || test.op === "atMost") return test.bound;
  return test.op === "between" ? test.high : Number.POSITIVE_INFINITY;
}

type RangeTest = Extract<Test, { op: "semver" }>["range"];

/** Tries the bounds and the versions next above them. Ranges with prereleases are taken to have a version. */
function isEmptyRange(range: RangeTest): boolean {
  if (/[-+][0-9A-Za-z]/.test(range.source)) return false;
  const bounds = range.source.match(/\d+(?:\.\d+){0,2}/g) ?? [];
  const tried = ["0", ...bounds].flatMap((text): SemanticVersion[] => {
    const version = parseSemver(text);
    if (version === undefined) return [];
    const next = { ...version, patch: version.patch + 1 };
    return [version, next, { ...version, prerelease: [0] }, { ...next, prerelease: [0] }];
  });
  return tried.every((version) => !range.test(version));
}

/** A string that is equal for equivalent conditions, regardless of the order of their parts. */
export function conditionKey(condition: Condition, ruleName: string): string {
  switch (condition.kind) {
    case "all":
    case "any": {
      const parts = condition.of.map((part) => conditionKey(part, ruleName)).sort();
      return `${condition.kind}(${[...new Set(parts)].join("")})`;
    }
    case "not":
      return `not(${conditionKey(condition.of, ruleName)})`;
    case "percent":
      // Without a seed the rule's name is the seed, so no two rules are equivalent.
      return JSON.stringify(["percent", condition.percent, condition.seed ?? null, condition.seed ?? ruleName]);
    case "test":
      return JSON.stringify([condition.subject, condition.test.op, operandKey(condition.test)]);
  }
}

/** A test's operand as JSON; lists regardless of order. */
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
