import { type ReleaseSpec, useRollout } from "../decide/release-spec.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { CompileContext } from "./compile-context.ts";
import { ringKey } from "./ring-key.ts";
import { foreignTest } from "./rule-warnings.ts";
import type { Config } from "./schema.ts";
import { formatDuration } from "./schema-kit/scalars.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
import type { ReleaseConfig } from "./sections/release.ts";
import type { RolloutConfig } from "./sections/rollout.ts";

/** A release with a rollout, as written and as compiled. */
interface Planned {
  readonly release: ReleaseConfig;
  readonly written: RolloutConfig;
  readonly rollout: RolloutSpec;
  readonly rules: ReleaseSpec["rules"];
  readonly name: string;
}

/**
 * Warns of rollouts that are not what their authors expect: steps that give nobody anything, checks that no traffic
 * answers, settings of the release that a rollout overrides, and state that is lost with the process.
 */
export function warnOfRollouts(
  config: Config,
  releases: readonly ReleaseSpec[],
  { parsing, hasStateDir }: Pick<CompileContext, "parsing" | "hasStateDir">,
): void {
  // Parts dropped because of an error would cause misleading warnings.
  if (parsing.problems.failed) return;
  const planned = config.releases.flatMap(({ name, value: release }, index): Planned[] => {
    const { rollout, rules = [] } = releases[index] ?? {};
    return rollout === undefined || release.rollout === undefined
      ? []
      : [{ release, written: release.rollout, rollout, rules, name }];
  });
  if (!hasStateDir) warnOfLostState(config, planned, parsing);
  for (const one of planned) {
    warnOfRings(one, config, parsing);
    warnOfSplit(one, parsing);
    warnOfHeldPins(one, parsing);
    warnOfIdleComparisons(one, parsing);
    warnOfPatience(one, config, parsing);
  }
}

function warnOfLostState(config: Config, [first]: readonly Planned[], parsing: ParseContext): void {
  if (first === undefined || parsing.has(config, "state")) return;
  const message = "there is no state file, so rollouts and pauses are lost when the process ends";
  const suggestion = "set state: { file: /var/lib/perch/state.json } at the top, or start Perch with --state-dir DIR";
  parsing.warn(parsing.keySpanOf(first.release, "rollout"), "risky", message, suggestion);
}

function warnOfRings({ name, written, rollout, rules }: Planned, { routes }: Config, parsing: ParseContext): void {
  const matches = routes.filter(({ release }) => release === name).map(({ match }) => match);
  let general = 0;
  for (const [index, step] of rollout.steps.entries()) {
    const config = written.steps[index];
    if (step.kind === "pause" || config === undefined || config === "pause") continue;
    const { ring, weight } = step;
    if (ring === undefined) {
      general = Math.max(general, weight);
      continue;
    }
    const foreign = foreignTest(ring.when, matches);
    const before = rules.find(({ when, use }) => use !== useRollout && ringKey(when) === ring.key);
    if (before !== undefined) {
      const message = `this ring gets no users: rule ${before.name} has the same condition and comes before`;
      parsing.warn(parsing.keySpanOf(config, "when"), "unreachable", message, `write use: rollout in the rule`);
    } else if (foreign !== undefined) {
      const message = `no request is in this ring: no route of release ${name} has the ${foreign}`;
      parsing.warn(parsing.keySpanOf(config, "when"), "unreachable", message);
    } else if (weight <= general) {
      const message = `this step has no effect: its ring has ${weight} %, and all users have ${general} % already`;
      parsing.warn(parsing.spanOf(config, "weight"), "unreachable", message);
    }
  }
}

function warnOfSplit({ release, rollout }: Planned, parsing: ParseContext): void {
  const { split } = release;
  const { baseline, candidate } = rollout;
  if (split === undefined) return;
  const weightOf = (version: string): number => split.find(({ name }) => name === version)?.value ?? 0;
  const own = split.find(({ name, value }) => name === candidate && value > 0);
  if (own !== undefined) {
    const message = `the rollout sets the weights of ${baseline} and ${candidate} while it runs: this weight applies only before it starts and after it ends`;
    parsing.warn(parsing.keySpanOf(own), "risky", message, `write ${candidate}: 0`);
  }
  const isDrawn = weightOf(baseline) + weightOf(candidate) > 0 || release.rules.some(({ use }) => use === "rollout");
  if (isDrawn || parsing.lacksParts(split)) return;
  const message = `the split has no weight for ${baseline} or ${candidate}, so the rollout has no users to draw`;
  parsing.warn(parsing.keySpanOf(release, "split"), "risky", message, `give ${baseline} a weight`);
}

function warnOfHeldPins({ release: { sticky } }: Planned, parsing: ParseContext): void {
  if (sticky.whenWeightsChange !== "hold") return;
  const message =
    "with hold, a rollout draws and judges new users only: those with a pin keep their version, whatever the weights are";
  parsing.warn(parsing.spanOf(sticky, "whenWeightsChange"), "risky", message, "use follow");
}

/** Two versions are compared where both get drawn users; a ceiling needs users of the candidate only. */
function warnOfIdleComparisons({ written, rollout }: Planned, parsing: ParseContext): void {
  const weights = rollout.steps.flatMap((step) => (step.kind === "pause" ? [] : [step.weight]));
  if (weights.length === 0 || weights.some((weight) => weight > 0 && weight < 100)) return;
  for (const { kind, name } of rollout.checks) {
    const needsBoth = kind === "compare" || kind === "margin";
    if (!needsBoth && (kind !== "at-most" || weights.some((weight) => weight > 0))) continue;
    const config = written.checks.find((check) => check.name === name);
    const isWritten = parsing.has(written, "checks") && config !== undefined;
    const place = isWritten ? parsing.spanOf(config, "name") : parsing.keySpanOf(written, "steps");
    const message = `no step answers check ${quote(name)}: ${
      needsBoth ? "a weight of 0 or 100 leaves no other version to compare with" : "the candidate gets no users"
    }`;
    parsing.warn(place, "risky", message, "add a step with a weight between 0 and 100");
  }
}

/** An answer that the total time limit ends is a failure, never a slow answer. */
function warnOfPatience({ name, written }: Planned, { routes, services }: Config, parsing: ParseContext): void {
  const totals = routes
    .filter(({ release }) => release === name)
    .map(
      ({ service, timeouts }) => timeouts?.total ?? services.find((one) => one.name === service)?.value.timeouts.total,
    );
  const longest = Math.max(...totals.map((total) => total ?? Number.POSITIVE_INFINITY));
  for (const check of totals.length === 0 ? [] : written.checks) {
    if (typeof check.over !== "number" || check.over < longest) continue;
    const message = `no answer takes over ${formatDuration(check.over)}: on every route of release ${name} the total timeout of ${formatDuration(longest)} ends it before`;
    parsing.warn(parsing.spanOf(check, "over"), "unreachable", message);
  }
}
