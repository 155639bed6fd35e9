import { describe, expect, it } from "vitest";
import type { Decision } from "../../src/decide/decision.ts";
import type { Pin } from "../../src/decide/pin-content.ts";
import { Release } from "../../src/decide/release.ts";
import { type ReleaseSpec, type RuleSpec, type StickySpec, useRollout } from "../../src/decide/release-spec.ts";
import type { RolloutTraffic } from "../../src/decide/release-traffic.ts";
import type { StepSpec } from "../../src/decide/rollout-spec.ts";
import { attributeUnit } from "../../src/decide/unit.ts";
import { plan } from "../rollout/plan/plans.ts";
import { drain, east, fromEast, hold } from "./decision-case.ts";
import { type FactsOf, pinOf, requestOf, seededRandom, shop, sticky, userDrawnTo } from "./shop-release.ts";

const inEast: StepSpec = {
  kind: "weight",
  weight: 50,
  holdMs: 1,
  atLeastUsers: 0,
  ring: { key: "region-east", when: east },
};

const spec = plan({ steps: [inEast] });

const drawn: RolloutTraffic = {
  id: spec.id,
  baseline: "stable",
  candidate: "canary",
  candidateIs: "drawn",
  step: 0,
  weight: 0,
  rings: [],
};
const withdrawn: RolloutTraffic = { ...drawn, candidateIs: "withdrawn", step: 0, weight: 50 };
const eastAtHalf = [{ key: "region-east", weight: 50 }];

function releaseWith(given: Partial<ReleaseSpec> = {}, id = spec.id): Release {
  return new Release({ ...shop, split: { stable: 100 }, rollout: { ...spec, id }, ...given });
}

function directed(rollout: RolloutTraffic, given: Partial<ReleaseSpec> = {}): Release {
  const release = releaseWith(given, rollout.id);
  release.direct({ split: undefined, rollout });
  return release;
}

const users = Array.from({ length: 4_000 }, (_, at) => `user-${at}`);

function decideFor(release: Release, userId: string, more: FactsOf = {}, pin?: Pin): Decision {
  return release.decide(requestOf({ ...more, attributes: { userId, ...more.attributes }, pin }));
}

function versionsOf(release: Release, more?: FactsOf): string[] {
  return users.map((user) => decideFor(release, user, more).version);
}

function shareOf(version: string, versions: readonly string[]): number {
  return versions.filter((each) => each === version).length / versions.length;
}

describe("the draw of a rollout", () => {
  it("changes nothing before it is directed", () => {
    const release = releaseWith();
    expect(versionsOf(release)).toEqual(versionsOf(new Release({ ...shop, split: { stable: 100 } })));
    expect(decideFor(release, "ann").odds).toBeUndefined();
  });

  it("gives the candidate its weight and tells the odds of both sides", () => {
    const release = directed({ ...drawn, weight: 20 });
    const decisions = users.map((user) => decideFor(release, user));
    expect(
      shareOf(
        "canary",
        decisions.map(({ version }) => version),
      ),
    ).toBeCloseTo(0.2, 1);
    expect(new Set(decisions.map(({ odds }) => odds))).toEqual(new Set([0.2]));
  });

  it("only moves units into the candidate as the weight rises", () => {
    const weights = [0, 1, 5, 5, 20, 50, 99, 100];
    const steps = weights.map((weight) => versionsOf(directed({ ...drawn, weight })));
    users.forEach((_, at) => {
      const path = steps.map((versions) => versions[at]);
      expect(path.lastIndexOf("stable")).toBeLessThan(path.includes("canary") ? path.indexOf("canary") : path.length);
    });
    expect(shareOf("canary", steps.at(0) ?? [])).toBe(0);
    expect(shareOf("canary", steps.at(-1) ?? [])).toBe(1);
  });

  it("draws anew for another id, independently", () => {
    const first = versionsOf(directed({ ...drawn, weight: 50 }));
    const second = versionsOf(directed({ ...drawn, weight: 50, id: "2.5.0" }));
    const both = users.filter((_, at) => first[at] === "canary" && second[at] === "canary");
    expect(both.length / users.length).toBeCloseTo(0.25, 1);
  });

  it("leaves other versions of the split their units, and draws only the rest", () => {
    const split = { stable: 60, canary: 20, v3: 20 };
    const others = versionsOf(directed({ ...drawn, weight: 0 }, { split }));
    expect(shareOf("v3", others)).toBeCloseTo(0.2, 1);
    const release = directed({ ...drawn, weight: 50 }, { split });
    const moved = users.map((user) => decideFor(release, user));
    moved.forEach(({ version, odds }, at) => {
      expect(version === "v3").toBe(others[at] === "v3");
      expect(odds).toBe(version === "v3" ? undefined : 0.5);
    });
    expect(release.weights).toEqual({ stable: 40, canary: 40, v3: 20 });
  });

  it("gives all of a release without a split to the baseline first", () => {
    const release = directed({ ...drawn, weight: 0 }, { split: undefined });
    expect(release.decide(requestOf({ defaultVersion: "canary" }))).toMatchObject({
      version: "stable",
      reason: "split",
    });
  });

  it("uses the split that an operator set", () => {
    const release = releaseWith();
    release.direct({ split: { v3: 1 }, rollout: undefined });
    expect(decideFor(release, "ann")).toMatchObject({ version: "v3", odds: undefined });
    expect(release.weights).toEqual({ v3: 1 });
    release.direct(undefined);
    expect(decideFor(release, "ann").version).toBe("stable");
  });

  it("decides a preflight by the larger share", () => {
    const preflight = requestOf({
      method: "OPTIONS",
      headers: { origin: "https://a.example", "access-control-request-method": "GET" },
    });
    const versions = [49, 51].map((weight) => directed({ ...drawn, weight }).decide(preflight).version);
    expect(versions).toEqual(["stable", "canary"]);
  });

  it("explains itself", () => {
    const trail: { stage: string; detail: string }[] = [];
    directed({ ...drawn, weight: 10, rings: eastAtHalf }).decide(
      requestOf({ attributes: { userId: "ann", ...fromEast.attributes } }),
      trail as never,
    );
    expect(trail.find(({ stage }) => stage === "rollout")?.detail).toMatch(
      /^(stable|canary) \(place \d+\.\d\d of 100, rollout 2\.4\.0: canary has 50 in ring region-east\)$/,
    );
  });
});

describe("rings", () => {
  const release = directed({ ...drawn, weight: 10, rings: eastAtHalf });

  it("give their weight to those who meet the condition, and to nobody else", () => {
    expect(shareOf("canary", versionsOf(release, fromEast))).toBeCloseTo(0.5, 1);
    expect(shareOf("canary", versionsOf(release))).toBeCloseTo(0.1, 1);
    expect(decideFor(release, "ann", fromEast).odds).toBe(0.5);
  });

  it("never give less than the weight of everybody", () => {
    const higher = directed({ ...drawn, weight: 80, rings: eastAtHalf });
    expect(decideFor(higher, "ann", fromEast).odds).toBe(0.8);
  });

  it("are remembered by the pin on requests without the ring's facts", () => {
    const user = users.find(
      (each) =>
        decideFor(release, each, fromEast).version === "canary" && decideFor(release, each).version === "stable",
    );
    const { pin } = decideFor(release, user ?? "", fromEast);
    expect(pin).toMatchObject({ how: "ring", version: "canary" });
    expect(decideFor(release, user ?? "", {}, pin)).toMatchObject({ version: "canary", odds: 0.5, pin: undefined });
    const elsewhere = decideFor(release, user ?? "", { attributes: { region: "west" } }, pin);
    expect(elsewhere).toMatchObject({ version: "stable", odds: 0.1, flipped: true });
  });

  it("of another rollout are forgotten", () => {
    const next = directed({ ...drawn, id: "2.5.0", weight: 0, rings: eastAtHalf });
    const { pin } = decideFor(release, "ann", fromEast);
    expect(decideFor(next, "ann", {}, pin).odds).toBe(0);
  });

  it("survive a pin's text", () => {
    const { pin } = decideFor(release, "ann", fromEast);
    const cookie =
      release
        .setCookie(pin ?? pinOf(), false)
        .split(";")[0]
        ?.split("=")[1] ?? "";
    const read = release.readPin([cookie], requestOf().nowMs, () => {});
    expect(read).toEqual(pin);
  });
});

describe("a rule that is drawn by the rollout", () => {
  const rules: RuleSpec[] = [{ name: "east", when: east, use: useRollout }];
  const release = directed({ ...drawn, weight: 30 }, { rules, split: { v3: 1 } });

  it("gives the baseline, or the candidate at the rollout's weight, with odds", () => {
    const decisions = users.map((user) => decideFor(release, user, fromEast));
    expect(
      shareOf(
        "canary",
        decisions.map(({ version }) => version),
      ),
    ).toBeCloseTo(0.3, 1);
    expect(decisions[0]).toMatchObject({ reason: "rule", rule: "east", odds: 0.3 });
  });

  it("is remembered with its odds", () => {
    const { pin, version } = decideFor(release, "ann", fromEast);
    expect(decideFor(release, "ann", {}, pin)).toMatchObject({ reason: "pin", rule: "east", version, odds: 0.3 });
  });

  it("gives the baseline while no rollout runs", () => {
    expect(decideFor(releaseWith({ rules, split: { v3: 1 } }), "ann", fromEast).version).toBe("stable");
  });
});

describe("who is not drawn", () => {
  it.each<[string, Partial<ReleaseSpec>, Parameters<typeof requestOf>[0]]>([
    ["an override", {}, { override: "canary" }],
    ["a propagated version", {}, { propagated: "canary" }],
    ["a plain rule", { rules: [{ name: "east", when: east, use: "canary" }] }, fromEast],
    ["a held pin", { sticky: { ...sticky, ...hold } }, { pin: pinOf({ version: "canary" }) }],
  ])("%s has no odds", (_, given, request) => {
    const decision = directed({ ...drawn, weight: 50 }, given).decide(requestOf(request));
    expect(decision).toMatchObject({ version: "canary", odds: undefined });
  });

  it("a followed page has the odds of the draw, if the draw gives its version still", () => {
    const pages: StickySpec = { ...sticky, assets: "follow-document", assetPaths: ["/assets"] };
    const user = userDrawnToBy(directed({ ...drawn, weight: 50 }), "canary");
    const release = directed({ ...drawn, weight: 50 }, { sticky: pages });
    const asset = (version: string) =>
      decideFor(release, user, { path: "/assets/a.js" }, pinOf({ version, unit: attributeUnit(user) }));
    expect(asset("canary")).toMatchObject({ reason: "pin", version: "canary", odds: 0.5 });
    expect(asset("stable")).toMatchObject({ reason: "pin", version: "stable", odds: undefined });
    const ofRing = pinOf({ version: "canary", how: "ring", rule: "0123abcd", unit: attributeUnit(user) });
    expect(decideFor(release, user, { path: "/assets/a.js" }, ofRing).rule).toBeUndefined();
  });
});

function userDrawnToBy(release: Release, version: string): string {
  return users.find((user) => decideFor(release, user).version === version) ?? "";
}

describe("rolled back means nobody", () => {
  const pinned = (given: Partial<Pin> = {}) => pinOf({ version: "canary", ...given });
  const pages: Partial<StickySpec> = { assets: "follow-document", fetches: "follow-document", assetPaths: ["/assets"] };
  const eastRule: RuleSpec = { name: "east", when: east, use: "canary" };
  const weighted: RuleSpec = { name: "east", when: east, use: { canary: 50, v3: 50 } };
  const byRule = pinned({ how: "rule", rule: "east" });

  it.each<[string, Partial<ReleaseSpec>, Parameters<typeof requestOf>[0]]>([
    ["by the split", { split: { stable: 1, canary: 99 } }, {}],
    ["by a split that has nobody else", { split: { canary: 1 } }, {}],
    ["by the default", { split: undefined }, { defaultVersion: "canary" }],
    ["by a rule", { rules: [eastRule] }, fromEast],
    ["by a rule with weights", { rules: [weighted] }, fromEast],
    ["by a rule of the rollout", { rules: [{ ...eastRule, use: useRollout }] }, fromEast],
    ["by a remembered rule", { rules: [eastRule] }, { pin: byRule }],
    ["by a remembered rule under hold", { rules: [eastRule], sticky: { ...sticky, ...drain } }, { pin: byRule }],
    ["by a held pin", { sticky: { ...sticky, ...hold }, split: { stable: 1, canary: 1 } }, { pin: pinned() }],
    ["by a draining pin", { sticky: { ...sticky, ...drain } }, { pin: pinned() }],
    ["by a ring's pin", {}, { pin: pinned({ how: "ring", rule: "0123abcd" }) }],
    ["by a page's assets", { sticky: { ...sticky, ...pages } }, { pin: pinned(), path: "/assets/a.js" }],
    [
      "by a page's calls",
      { sticky: { ...sticky, ...pages } },
      {
        pin: pinned(),
        headers: { "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" },
      },
    ],
    ["by a caller", {}, { propagated: "canary" }],
  ])("%s", (_, given, request) => {
    for (let seed = 0; seed < 50; seed++) {
      const decision = directed(withdrawn, given).decide(requestOf({ ...request, random: seededRandom(seed) }));
      expect(decision.version).not.toBe("canary");
      expect(decision.odds).toBeUndefined();
    }
  });

  it("but by an override, and by a rule that keeps it", () => {
    const keeping = directed(withdrawn, { rules: [{ ...eastRule, onRollback: "keep" }] });
    expect(keeping.decide(requestOf({ override: "canary" })).version).toBe("canary");
    expect(keeping.decide(requestOf(fromEast)).version).toBe("canary");
    expect(keeping.decide(requestOf({ pin: byRule })).version).toBe("canary");
  });

  it("leaves a weighted rule its other versions, for the same units", () => {
    const user = userDrawnTo("v3", { canary: 50, v3: 50 });
    expect(decideFor(directed(withdrawn, { rules: [weighted] }), user, fromEast).version).toBe("v3");
  });

  it("lets a running rollout drain its held users before that", () => {
    const release = directed({ ...drawn, weight: 0 }, { sticky: { ...sticky, ...drain } });
    expect(release.decide(requestOf({ pin: pinned() })).version).toBe("canary");
  });
});
