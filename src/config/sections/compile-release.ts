import type { ReleaseSpec, RuleSpec, Weights } from "../../decide/release-spec.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import type { PairedServices } from "../release-services.ts";
import { warnLoneWeight, warnUnreachableRules } from "../rule-warnings.ts";
import { unreadable } from "../scalars.ts";
import type { Entry } from "../schema-kit/collections.ts";
import { quote, type Span } from "../schema-kit/tree.ts";
import { compileCondition } from "./condition.ts";
import { compilePropagation } from "./propagation.ts";
import type { ReleaseConfig, RuleConfig, WeightsConfig } from "./release.ts";
import { compileOverride, compileSticky } from "./sticky.ts";

export function compileRelease(
  entry: Entry<ReleaseConfig>,
  pairing: PairedServices,
  attributes: KnownAttributes,
  context: CompileContext,
): ReleaseSpec {
  const { name, value: release } = entry;
  const { known, paired } = pairing;
  const names = new VersionNames(known, context);
  const rules = compileRules(release.rules, names, attributes, context);
  const split = release.split === undefined ? undefined : names.weights(release.split);
  if (release.split !== undefined) {
    warnServicesWithoutVersion(release.split, pairing, context);
    warnLoneWeight(release.split, { of: "the split", versions: known ?? [] }, context.parsing);
  }
  return {
    name,
    versions: [...names.named, ...paired.flatMap((service) => service.versions)].filter(isFirst),
    sticky: compileSticky(name, release.sticky, attributes, context),
    override:
      release.override === undefined ? undefined : compileOverride(release.override, release.sticky.cookie, context),
    rules,
    split,
    propagate: release.propagate === undefined ? undefined : compilePropagation(release.propagate, context),
    rollout: undefined,
  };
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
  configs: readonly RuleConfig[],
  names: VersionNames,
  attributes: KnownAttributes,
  context: CompileContext,
): readonly RuleSpec[] {
  const { parsing } = context;
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
      onRollback: "withdraw",
      use: typeof use === "string" ? names.use(use, parsing.spanOf(config, "use")) : names.weights(use),
    };
  });
  // A condition that lost an invalid part would look wider than it is.
  if (parsing.problems.errorCount === failedBefore) warnUnreachableRules(configs, rules, attributes.specs, parsing);
  return rules;
}

/** A service without the version serves its default version instead, which may be unintended. */
function warnServicesWithoutVersion(
  split: WeightsConfig,
  { known, paired }: PairedServices,
  { parsing }: CompileContext,
): void {
  for (const entry of split) {
    const without = paired.filter((service) => !service.versions.includes(entry.name)).map((service) => service.name);
    if (known?.has(entry.name) !== true || without.length === 0) continue;
    const message = `${without.length === 1 ? "service" : "services"} ${without.slice(0, 5).join(", ")}${
      without.length > 5 ? ", …" : ""
    } without version ${entry.name} will serve the default version instead`;
    parsing.warn(parsing.keySpanOf(entry), "risky", message);
  }
}
