import { describe, expect, it } from "vitest";
import type { Condition } from "../../src/decide/condition.ts";
import type { DecisionRequest, Trail } from "../../src/decide/decision.ts";
import type { Pin } from "../../src/decide/pin-content.ts";
import { Release } from "../../src/decide/release.ts";
import type { ReleaseSpec, RuleSpec, StickySpec } from "../../src/decide/release-spec.ts";
import { attributeUnit, randomUnit } from "../../src/decide/unit.ts";
import {
  attribute,
  equals,
  type FactsOf,
  pinOf,
  randomUnitDrawnTo,
  requestOf,
  seededRandom,
  shop,
  sticky,
  userDrawnTo,
} from "./shop-release.ts";

/** An even split, which draws these two users to different versions, and likewise the random units. */
export const half = { stable: 50, canary: 50 };
export const ann = userDrawnTo("canary", half);
export const bob = userDrawnTo("stable", half);
export const annsUnit = attributeUnit(ann);
export const bobsUnit = attributeUnit(bob);
export const canaryUnit = randomUnitDrawnTo("canary", half);
export const stableUnit = randomUnitDrawnTo("stable", half);
export const newUnit = randomUnit(seededRandom(1));

export const east: Condition = attribute("region", equals("east"));
const onBeta: Condition = { kind: "test", subject: { kind: "path" }, test: { op: "prefix", texts: ["/beta"] } };
export const eastToCanary: RuleSpec = { name: "east", when: east, use: "canary" };
export const eastWeighted: RuleSpec = { name: "east", when: east, use: { canary: 50, v3: 50 } };
export const eastHalf: RuleSpec = { name: "east", when: east, use: half };
export const betaToV3: RuleSpec = { name: "beta", when: onBeta, use: "v3" };
export const goldToV3: RuleSpec = { name: "gold", when: attribute("plan", equals("gold")), use: "v3" };
export const fromEast: FactsOf = { attributes: { region: "east" } };
export const fromWest: FactsOf = { attributes: { region: "west" } };

export const hold: Partial<StickySpec> = { whenWeightsChange: "hold" };
export const drain: Partial<StickySpec> = { whenWeightsChange: "hold", onWeightZero: "drain" };

/** A pin that the rule "east" set. */
export function pinOfEast(given: Partial<Pin> = {}): Pin {
  return pinOf({ version: "canary", how: "rule", rule: "east", unit: stableUnit, ...given });
}

interface Wanted {
  readonly reason: string;
  readonly version: string;
  readonly rule?: string;
  /** `keeps`: no pin is written. */
  readonly pin: "keeps" | Partial<Pin>;
  readonly flipped?: true;
}

interface DecisionCase {
  readonly sentence: string;
  readonly release?: Partial<ReleaseSpec>;
  readonly sticky?: Partial<StickySpec>;
  readonly request: FactsOf & Partial<Omit<DecisionRequest, "facts">>;
  readonly wanted: Wanted;
}

function releaseOf(given: DecisionCase): Release {
  return new Release({
    ...shop,
    ...given.release,
    sticky: { ...sticky, ...given.sticky },
  });
}

/** For each case a test of the decision, and one that a trail does not change it. */
export function decideCases(title: string, cases: readonly DecisionCase[]): void {
  describe(title, () => {
    it.each(cases)("$sentence", (given) => {
      const { wanted } = given;
      const decision = releaseOf(given).decide(requestOf(given.request));
      expect(decision).toMatchObject({ reason: wanted.reason, version: wanted.version });
      expect(decision.rule).toBe(wanted.rule);
      expect(decision.flipped).toBe(wanted.flipped ?? false);
      if (wanted.pin === "keeps") expect(decision.pin).toBeUndefined();
      else expect(decision.pin).toMatchObject(wanted.pin);
    });

    it.each(cases)("decides the same with a trail: $sentence", (given) => {
      const trail: Trail = [];
      const explained = releaseOf(given).decide(requestOf(given.request), trail);
      const plain = releaseOf(given).decide(requestOf(given.request));
      const isRequested = plain.reason === "override" || plain.reason === "propagated";
      expect(explained).toEqual(isRequested ? { ...plain, unit: explained.unit } : plain);
      expect(explained.unit).toBeDefined();
      expect(trail.length).toBeGreaterThan(1);
    });
  });
}
