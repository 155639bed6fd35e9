import { type ReleaseSpec, type RuleSpec, useRollout, type Weights } from "../../decide/release-spec.ts";
import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { ServiceSpec } from "../../upstream/service-spec.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import type { PairedServices } from "../release-services.ts";
import { warnLoneWeight, warnUnreachableRules } from "../rule-warnings.ts";
import { rolloutWord, unreadable } from "../scalars.ts";
import type { Entry } from "../schema-kit/collections.ts";
import type { ParseContext } from "../schema-kit/schema.ts";
import { quote, type Span } from "../schema-kit/tree.ts";
import { compileRollout, compileSteps } from "./compile-rollout.ts";
import { compileCondition } from "./condition.ts";
import { compilePropagation } from "./propagation.ts";
import type { ReleaseConfig, RuleConfig, WeightsConfig } from "./release.ts";
import { compileOverride, compileSticky } from "./sticky.ts";

export function compileRelease(
  entry: Entry<ReleaseConfig>,
  pairing: PairedServices,
  services: readonly ServiceSpec[],
  attributes: KnownAttributes,
  context: CompileContext,
): ReleaseSpec {
  const { name, value: release } = entry;
  const { known, paired } = pairing;
  const names = new VersionNames(known, context);
  const rules = compileRules(release, names, attributes, context);
  const split = release.split === undefined ? undefined : names.weights(release.split);
  if (release.split !== undefined) {
    for (const one of release.split) {
      warnServicesWithoutVersion(one.name, context.parsing.keySpanOf(one), pairing, context);
    }
    warnLoneWeight(release.split, { of: "the split", versions: known ?? [] }, context.parsing);
  }
  const rollout = compilePlan(entry, { pairing, services, attributes, names }, context);
  return {
    name,
    versions: [...names.named, ...paired.flatMap((service) => service.versions)].filter(isFirst),
    sticky: compileSticky(name, release.sticky, attributes, context),
    override:
      release.override === undefined ? undefined : compileOverride(release.override, release.sticky.cookie, context),
    rules,
    split,
    propagate: release.propagate === undefined ? undefined : compilePropagation(release.propagate, context),
    rollout,
  };
}

/** Checks a release for routes that are not here. Its versions are those of the routes, so they may have any name. */
export function checkTemplate(
  { name, value: release }: Entry<ReleaseConfig>,
  attributes: KnownAttributes,
  context: CompileContext,
): void {
  compileRules(release, new VersionNames(undefined, context), attributes, context);
  compileSticky(name, release.sticky, attributes, context);
  if (release.override !== undefined) compileOverride(release.override, release.sticky.cookie, context);
  if (release.propagate !== undefined) compilePropagation(release.propagate, context);
  if (release.rollout !== undefined) compileSteps(release.rollout, attributes, context);
}

interface PlanScope {
  readonly pairing: PairedServices;
  readonly services: readonly ServiceSpec[];
  readonly attributes: KnownAttributes;
  readonly names: VersionNames;
}

function compilePlan(
  { name: release, value: { rollout, split } }: Entry<ReleaseConfig>,
  { pairing, services, attributes, names }: PlanScope,
  context: CompileContext,
): RolloutSpec | undefined {
  if (rollout === undefined) return undefined;
  const { parsing } = context;
  const useVersion = (name: string, span: Span): string => names.use(name, span);
  for (const key of ["baseline", "candidate"] as const) {
    const version = rollout[key];
    const isReported = split?.some(({ name }) => name === version) ?? false;
    if (version !== undefined && !isReported)
      warnServicesWithoutVersion(version, parsing.spanOf(rollout, key), pairing, context);
  }
  return compileRollout(rollout, { release, pairing, services, attributes, useVersion }, context);
}

const isFirst = <T>(item: T, index: number, items: readonly T[]): boolean => items.indexOf(item) === index;

/** Collects the versions that a release names, and checks them against those of its services. */
class VersionNames {
  readonly named = new Set<string>();
  readonly known: ReadonlySet<string> | undefined;
  readonly #context: CompileContext;

  constructor(known: ReadonlySet<string> | undefined, context: CompileContext) {
    this.known = known;
    this.#context = context;
  }

  use(name: string, span: Span): string {
    if (this.known?.has(name) === false) this.#context.parsing.unknownName(span, "version", name, this.known);
    this.named.add(name);
    return name;
  }

  weights(config: WeightsConfig): Weights {
    const { parsing } = this.#context;
    // No prototype, since weights are looked up by version names from pins.
    const weights: Record<string, number> = Object.create(null);
    let sum = 0;
    for (const entry of config) {
      weights[this.use(entry.name, parsing.keySpanOf(entry))] = entry.value;
      sum += entry.value;
    }
    if (sum === 0 && config.length > 0 && !parsing.lacksParts(config)) {
      parsing.error(parsing.spanOf(config), "bad-weights", "at least one weight must be above zero");
    }
    return weights;
  }
}

function compileRules(
  release: ReleaseConfig,
  names: VersionNames,
  attributes: KnownAttributes,
  context: CompileContext,
): readonly RuleSpec[] {
  const { parsing } = context;
  const configs = release.rules;
  const hasRollout = parsing.has(release, "rollout");
  const seen = new Set<string>();
  const failedBefore = parsing.problems.errorCount;
  const rules = configs.map((config): RuleSpec => {
    const { name, use } = config;
    if (seen.has(name) && name !== unreadable) {
      const message = `another rule of this release is already named ${quote(name)}`;
      parsing.error(parsing.spanOf(config, "name"), "duplicate-name", message);
    }
    seen.add(name);
    if (typeof use !== "string") {
      warnLoneWeight(use, { of: `rule ${quote(name)}`, versions: names.known ?? [] }, parsing);
    }
    const when = compileCondition(config.when, attributes, context);
    return {
      name,
      when,
      onRollback: config.onRollback,
      use: compileUse(config, hasRollout, names, parsing),
    };
  });
  // A condition that lost an invalid part would look wider than it is.
  if (parsing.problems.errorCount === failedBefore) warnUnreachableRules(configs, rules, attributes.specs, parsing);
  return rules;
}

function compileUse(
  config: RuleConfig,
  hasRollout: boolean,
  names: VersionNames,
  parsing: ParseContext,
): RuleSpec["use"] {
  const { use } = config;
  if (typeof use !== "string") return names.weights(use);
  const span = parsing.spanOf(config, "use");
  if (use !== rolloutWord) return names.use(use, span);
  if (!hasRollout) {
    const message = "this release has no rollout that could draw";
    parsing.error(span, "missing-key", message, "add rollout to the release, or name a version");
  }
  return useRollout;
}

/** A service without the version serves its default version instead, which may be unintended. */
function warnServicesWithoutVersion(
  version: string,
  place: Span,
  { known, paired }: PairedServices,
  { parsing }: CompileContext,
): void {
  const without = paired.filter((service) => !service.versions.includes(version)).map((service) => service.name);
  if (known?.has(version) !== true || without.length === 0) return;
  const message = `${without.length === 1 ? "service" : "services"} ${without.slice(0, 5).join(", ")}${
    without.length > 5 ? ", …" : ""
  } without version ${version} will serve the default version instead`;
  parsing.warn(place, "risky", message);
}
