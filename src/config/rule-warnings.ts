import type { Condition } from "../decide/condition.ts";
import { canonicalText } from "../decide/facts.ts";
import type { ReleaseSpec, RuleSpec } from "../decide/release-spec.ts";
import type { AttributeSpec } from "../identify/attributes.ts";
import { conditionKey, conjuncts, isImplied, misfitPlacesOf, truthOf, valuesOf } from "./condition-truth.ts";
import { hasHost } from "./host-pattern.ts";
import type { Config } from "./schema.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
import type { RuleConfig, WeightsConfig } from "./sections/release.ts";

/** Comparing ten thousand rules pairwise would take seconds. */
const maxCompared = 200;

/**
 * Warns of rules that can never be the first match: that no request meets, or that come after one that always matches,
 * or after one that matches whatever they match; and of codes of places that no database gives.
 */
export function warnUnreachableRules(
  configs: readonly RuleConfig[],
  rules: readonly RuleSpec[],
  attributes: readonly AttributeSpec[],
  parsing: ParseContext,
): void {
  const seen = new Map<string, RuleSpec>();
  let always: RuleSpec | undefined;
  for (const [index, rule] of rules.entries()) {
    const config = configs[index];
    const key = conditionKey(rule.when, rule.name);
    const truth = truthOf(rule.when, attributes, rule.name);
    const same = seen.get(key);
    const wider =
      same ??
      rules
        .slice(Math.max(0, index - maxCompared), index)
        .find((one) => isImplied(one.when, one.name, rule.when, rule.name));
    const why = whyNotReached(rule, truth, always, same, wider);
    if (why !== undefined && config !== undefined) parsing.warn(parsing.spanOf(config, "name"), "unreachable", why);
    const misfit = typeof truth === "object" ? undefined : misfitPlacesOf(rule.when, attributes);
    if (misfit !== undefined && config !== undefined) {
      const message = `rule ${quote(rule.name)} has values that never occur: ${misfit}`;
      parsing.warn(parsing.spanOf(config, "name"), "risky", message);
    }
    if (same === undefined) seen.set(key, rule);
    if (truth === "always") always ??= rule;
  }
}

function whyNotReached(
  { name }: RuleSpec,
  truth: ReturnType<typeof truthOf>,
  always: RuleSpec | undefined,
  same: RuleSpec | undefined,
  wider: RuleSpec | undefined,
): string | undefined {
  if (typeof truth === "object") return `rule ${quote(name)} never matches: ${truth.never}`;
  const before = always ?? same ?? wider;
  if (before === undefined) return undefined;
  const whyOther = before === same ? "has the same condition" : "matches all that it could match";
  const why = before === always ? "always matches" : whyOther;
  return `rule ${quote(name)} is never reached: rule ${quote(before.name)} before it ${why}`;
}

/** Warns of rules for hosts and methods that no route of their release matches. */
export function warnRulesOutsideRoutes(
  { releases: configs, routes }: Pick<Config, "releases" | "routes">,
  releases: readonly ReleaseSpec[],
  parsing: ParseContext,
): void {
  for (const [index, { name, rules }] of releases.entries()) {
    const matches = routes.filter(({ release }) => release === name).map(({ match }) => match);
    for (const [at, rule] of rules.entries()) {
      const config = configs[index]?.value.rules[at];
      const foreign = foreignTest(rule.when, matches);
      if (foreign === undefined || config === undefined) continue;
      const message = `rule ${quote(rule.name)} never matches: no route of release ${name} has the ${foreign}`;
      parsing.warn(parsing.spanOf(config, "name"), "unreachable", message);
    }
  }
}

type Matched = Config["routes"][number]["match"];

/** The hosts or methods that a condition requires but no route of its release matches; undefined: none. */
export function foreignTest(when: Condition, matches: readonly Matched[]): string | undefined {
  if (matches.length === 0) return undefined;
  for (const part of conjuncts(when)) {
    if (part.kind !== "test") continue;
    const { kind } = part.subject;
    const wanted = valuesOf(part.test)?.map(canonicalText) ?? [];
    if ((kind !== "host" && kind !== "method") || wanted.length === 0) continue;
    const takes = kind === "host" ? takesHost : takesMethod;
    if (!wanted.some((value) => matches.some((match) => takes(match, value)))) return `${kind} ${wanted.join(" or ")}`;
  }
  return undefined;
}

function takesHost({ hosts }: Matched, host: string): boolean {
  return hosts?.some((one) => hasHost(one, host)) ?? true;
}

/** A preflight is decided by the method that it announces. */
function takesMethod({ methods }: Matched, method: string): boolean {
  return methods?.some((one) => one === method || one === "OPTIONS") ?? true;
}

/**
 * Warns of a weight below 100 that stands alone, which looks like a percentage. `versions` are those that could have the
 * rest.
 */
export function warnLoneWeight(
  weights: WeightsConfig,
  { of, versions }: { readonly of: string; readonly versions: Iterable<string> },
  parsing: ParseContext,
): void {
  const [only, ...others] = weights;
  if (only === undefined || others.length > 0 || !(only.value > 0 && only.value < 100)) return;
  const rest = Array.from(versions).find((version) => version !== only.name);
  // A single weight of 1 reads as "all of it".
  if (rest === undefined || only.value === 1) return;
  const message = `${only.name} is the only version of ${of}, so it gets 100 % whatever its weight is`;
  parsing.warn(
    parsing.keySpanOf(only),
    "risky",
    message,
    `write { ${rest}: ${Number((100 - only.value).toFixed(6))}, ${only.name}: ${only.value} } for ${only.value} %`,
  );
}
