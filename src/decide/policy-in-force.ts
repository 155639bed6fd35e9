import type { Rule } from "./compile-condition.ts";
import type { DecisionRequest, Trail } from "./decision.ts";
import { Draw, type Drawn } from "./draw.ts";
import type { Pin } from "./pin-content.ts";
import type { ReleaseSpec, Weights } from "./release-spec.ts";
import type { ReleaseTraffic, RolloutTraffic } from "./release-traffic.ts";
import { RolloutDraw } from "./rollout-draw.ts";
import type { Unit } from "./unit.ts";

/** The rules and draws of a release as they are now: the configured ones, as changed by its traffic. */
export interface PolicyInForce {
  readonly rules: readonly Rule[];
  readonly rememberable: ReadonlyMap<string, Rule>;
  readonly split: Draw | undefined;
  /** Draws those that the split, or a rule with `use: rollout`, gives the baseline. */
  readonly rollout: RolloutDraw | undefined;
  /** A rolled-back candidate, which only an override still reaches. */
  readonly withdrawn: string | undefined;
  /** The shares of units that no rule or ring places, for people and metrics. Undefined without a split. */
  readonly weights: Weights | undefined;
}

export function policyInForce(
  spec: ReleaseSpec,
  rules: readonly Rule[],
  traffic: ReleaseTraffic | undefined,
): PolicyInForce {
  const split = traffic?.split ?? spec.split;
  const rollout = traffic?.rollout;
  if (rollout === undefined) return policy(rules, spec, split, { split });
  const first = baselineFirst(split, rollout);
  if (rollout.candidateIs === "drawn") {
    const shown = shares(first, rollout);
    return policy(rules, spec, shown, { split: first, rollout: new RolloutDraw(spec, rollout) });
  }
  const { candidate } = rollout;
  const left = rules.map((rule) => (rule.onRollback === "keep" ? rule : withoutCandidate(rule, spec, rollout)));
  return policy(left, spec, first, { split: first, withdrawn: candidate });
}

/**
 * Draws by the split or by a rule, then by the rollout if the baseline was drawn and `rollout` is given. `pin`: the
 * current one, which may remember a ring.
 */
export function drawVersion(
  draw: Draw,
  rollout: RolloutDraw | undefined,
  request: DecisionRequest,
  unit: Unit,
  pin: Pin | undefined,
  stage: "rule" | "split",
  trail: Trail | undefined,
): Drawn {
  const first = draw.pickDrawn(unit);
  trail?.push({ stage, outcome: "drawn", detail: `${first.version} (${describeScores(draw, unit)})` });
  if (first.version !== rollout?.baseline) return first;
  const ring = rollout.ringOf(request.facts, request.nowMs, unit, pin);
  const weight = rollout.weightIn(ring);
  const version = rollout.pick(unit, weight);
  const detail = () => `${version} (place ${rollout.placeOf(unit).toFixed(2)} of 100, ${rollout.describe(ring)})`;
  trail?.push({ stage: "rollout", outcome: "drawn", detail: detail() });
  return { version, ring: ring?.carriesNone && ring.memory, odds: weight / 100 };
}

/** Whether the two draws give this version to anyone. */
export function givesVersion(draw: Draw, rollout: RolloutDraw | undefined, version: string): boolean {
  const isOfRollout = version === rollout?.baseline || version === rollout?.candidate;
  return rollout !== undefined && isOfRollout && draw.hasWeight(rollout.baseline)
    ? rollout.hasWeight(version)
    : draw.hasWeight(version);
}

function describeScores(draw: Draw, unit: Unit): string {
  return draw
    .scores(unit)
    .map(({ version, share, score }) => `${version}: ${(share * 100).toFixed(2)} %, score ${score.toPrecision(4)}`)
    .join("; ");
}

interface InForce {
  readonly split: Weights | undefined;
  readonly rollout?: RolloutDraw;
  readonly withdrawn?: string;
}

function policy(
  rules: readonly Rule[],
  spec: ReleaseSpec,
  weights: Weights | undefined,
  { split, rollout, withdrawn }: InForce,
): PolicyInForce {
  return {
    rules,
    rememberable: new Map(rules.filter((rule) => rule.asksRequester).map((rule) => [rule.name, rule])),
    split: split && new Draw(spec.name, spec.sticky.salt, split),
    rollout,
    withdrawn,
    weights,
  };
}

/** The baseline stands for both until the rollout draws, so that the units of other versions do not move. */
function baselineFirst(split: Weights | undefined, { baseline, candidate }: RolloutTraffic): Weights {
  const weights = new Map(Object.entries(split ?? {}));
  const both = (weights.get(baseline) ?? 0) + (weights.get(candidate) ?? 0);
  weights.delete(candidate);
  weights.set(baseline, both);
  const hasOthers = [...weights.values()].some((weight) => weight > 0);
  if (!hasOthers) weights.set(baseline, 1);
  return ownWeights(weights);
}

function shares(first: Weights, { baseline, candidate, weight }: RolloutTraffic): Weights {
  const both = first[baseline] ?? 0;
  const weights = new Map(Object.entries(first));
  weights.set(baseline, (both * (100 - weight)) / 100);
  weights.set(candidate, (both * weight) / 100);
  return ownWeights(weights);
}

function withoutCandidate(rule: Rule, spec: ReleaseSpec, { baseline, candidate }: RolloutTraffic): Rule {
  const weights = new Map(Object.entries(rule.weights));
  if (!weights.delete(candidate)) return rule;
  const hasOthers = [...weights.values()].some((weight) => weight > 0);
  const left = hasOthers ? ownWeights(weights) : { [baseline]: 1 };
  return { ...rule, weights: left, draw: new Draw(spec.name, spec.sticky.salt, left) };
}

/** No prototype, since weights are looked up by version names from pins. */
function ownWeights(weights: ReadonlyMap<string, number>): Weights {
  return Object.assign(Object.create(null), Object.fromEntries(weights));
}
