import { describe, expect, it } from "vitest";
import type { DecisionRequest, Trail } from "../../src/decide/decision.ts";
import { Release } from "../../src/decide/release.ts";
import type { ReleaseSpec } from "../../src/decide/release-spec.ts";
import { ann, betaToV3, drain, eastToCanary, goldToV3, half, hold, pinOfEast, stableUnit } from "./decision-case.ts";
import { type FactsOf, pinOf, requestOf, shop, sticky } from "./shop-release.ts";

type Given = FactsOf & Partial<Omit<DecisionRequest, "facts">>;

function explain(spec: Partial<ReleaseSpec>, given: Given): string[] {
  const trail: Trail = [];
  new Release({ ...shop, ...spec }).decide(requestOf(given), trail);
  return trail.map(({ stage, outcome, detail }) => `${stage} ${outcome}: ${detail}`);
}

describe("the trail of a decision", () => {
  const rules = [betaToV3, goldToV3, eastToCanary];
  const cases: [sentence: string, spec: Partial<ReleaseSpec>, given: Given, wanted: (string | RegExp)[]][] = [
    [
      "an override",
      {},
      { attributes: { userId: ann }, override: "v3" },
      ["override used: v3", "unit used: from userId"],
    ],
    [
      "a rule that matches after others that do not",
      { rules },
      { attributes: { region: "east" } },
      [
        "unit used: new and random",
        'rule not-matched: beta: path: expected prefix "/beta", got "/"',
        'rule not-matched: gold: plan: expected "gold", got absent',
        'rule matched: east: region: expected "east", got "east"',
        /^rule drawn: canary \(canary: 100\.00 %, score /,
        "cookie written: perch-shop",
      ],
    ],
    [
      "a remembered rule",
      { rules },
      { pin: pinOfEast() },
      [
        "unit used: from the pin (random)",
        "pin used: names canary, but draws follow the weights",
        "pin remembered: set by rule east",
        'rule not-matched: beta: path: expected prefix "/beta", got "/"',
        "rule skipped: gold: the request carries none of the facts that rules read",
        /^rule drawn: canary/,
        "cookie unchanged: perch-shop",
      ],
    ],
    [
      "the split, with shares and scores",
      { split: { stable: 75, canary: 25 } },
      { attributes: { userId: ann }, override: "v9" },
      [
        "override ignored: v9 is not a version of this release",
        "unit used: from userId",
        /^split drawn: (stable|canary) \(canary: 25\.00 %, score [\d.]+; stable: 75\.00 %, score [\d.]+\)$/,
        "cookie written: perch-shop",
      ],
    ],
    [
      "a held pin",
      { sticky: { ...sticky, ...hold } },
      { pin: pinOf() },
      [
        "unit used: from the pin (random)",
        "pin used: holds stable",
        "split kept: the pinned version stable has weight",
        "cookie unchanged: perch-shop",
      ],
    ],
    [
      "a drained version",
      { sticky: { ...sticky, ...drain }, split: { stable: 0, canary: 1 } },
      { pin: pinOf() },
      [
        "unit used: from the pin (random)",
        "pin used: holds stable",
        "split kept: the pinned version stable has no weight and drains",
        "cookie unchanged: perch-shop",
      ],
    ],
    [
      "an evicted version",
      { sticky: { ...sticky, ...hold }, split: { stable: 0, canary: 1 } },
      { pin: pinOf() },
      [
        "unit used: from the pin (random)",
        "pin used: holds stable",
        "split void: the pinned version stable has no weight and is evicted",
        /^split drawn: canary/,
        "cookie written: perch-shop",
      ],
    ],
    [
      "a pin of another requester",
      { split: undefined },
      { attributes: { userId: ann }, pin: pinOf({ unit: { ...stableUnit, source: "attribute" } }) },
      [
        "unit used: from userId",
        "pin void: belongs to another requester",
        "default used: stable",
        "cookie written: perch-shop",
      ],
    ],
    [
      "a pin of an older epoch",
      { sticky: { ...sticky, ...hold }, split: half },
      { pin: pinOf({ epoch: 1 }) },
      [
        "unit used: from the pin (random)",
        "pin void: epoch 1 is below 3",
        /^split drawn/,
        "cookie written: perch-shop",
      ],
    ],
    [
      "a pin of a version that the release no longer has",
      { sticky: { ...sticky, ...hold } },
      { pin: pinOf({ version: "v1" }) },
      [
        "unit used: from the pin (random)",
        "pin void: v1 is no longer a version of this release",
        /^split drawn/,
        "cookie written: perch-shop",
      ],
    ],
  ];
  it.each(cases)("explains %s", (_, spec, given, wanted) => {
    const lines = explain(spec, given);
    expect(lines).toHaveLength(wanted.length);
    for (const [at, line] of wanted.entries()) {
      if (typeof line === "string") expect(lines[at]).toBe(line);
      else expect(lines[at]).toMatch(line);
    }
  });
});
