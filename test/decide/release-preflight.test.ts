import { describe, expect, it } from "vitest";
import type { Trail } from "../../src/decide/decision.ts";
import { parseAddress } from "../../src/decide/ip-address.ts";
import { Release } from "../../src/decide/release.ts";
import type { ReleaseSpec, RuleSpec } from "../../src/decide/release-spec.ts";
import { betaToV3, eastHalf, eastToCanary, goldToV3, half } from "./decision-case.ts";
import { equals, type FactsOf, pinOf, requestOf, seededRandom, shop, sticky } from "./shop-release.ts";

const preflight = {
  method: "OPTIONS",
  headers: { origin: "https://app.example", "access-control-request-method": "PUT" },
} satisfies FactsOf;

const onHeader = (name: string): RuleSpec => ({
  name: "by-header",
  when: { kind: "test", subject: { kind: "header", name }, test: { op: "exists", wanted: true } },
  use: "canary",
});
const onMethod: RuleSpec = {
  name: "writes",
  when: { kind: "test", subject: { kind: "method" }, test: equals("PUT") },
  use: "v3",
};
const percent: RuleSpec = { name: "tenth", when: { kind: "percent", percent: 100, seed: undefined }, use: "canary" };
const westOnly: RuleSpec = { name: "rest", when: { kind: "not", of: eastToCanary.when }, use: "v3" };

const cases: [string, Partial<ReleaseSpec>, FactsOf, version: string, rule?: string][] = [
  ["equal shares: the default", { split: half }, {}, "stable"],
  ["the larger share", { split: { stable: 5, canary: 95 } }, {}, "canary"],
  ["a finished rollout, whose default has no weight", { split: { stable: 0, canary: 100 } }, {}, "canary"],
  ["equal shares without the default: the first by name", { split: { v3: 1, canary: 1, stable: 0 } }, {}, "canary"],
  ["no split: the default", { split: undefined }, {}, "stable"],
  ["a rule on the path", { rules: [betaToV3] }, { path: "/beta/x" }, "v3", "beta"],
  ["a rule on the method of the announced request", { rules: [onMethod] }, {}, "v3", "writes"],
  [
    "a rule on a fact that the preflight carries",
    { rules: [eastToCanary] },
    { attributes: { region: "east" } },
    "canary",
    "east",
  ],
  [
    "a rule with equal weights: the first by name",
    { rules: [eastHalf] },
    { attributes: { region: "east" } },
    "stable",
    "east",
  ],
  ["a rule on a header that only the announced request has", { rules: [onHeader("x-canary")] }, {}, "stable"],
  ["a rule on absence, which says nothing of the announced request", { rules: [westOnly] }, {}, "stable"],
  ["a rule on a percentage", { rules: [percent] }, {}, "stable"],
  ["rules after one that cannot be asked", { rules: [goldToV3, betaToV3] }, { path: "/beta" }, "v3", "beta"],
];

describe("a CORS preflight", () => {
  it.each(cases)("%s", (_sentence, release, facts: FactsOf, version, rule) => {
    const policy = new Release({ ...shop, ...release });
    const trail: Trail = [];
    const wanted = { reason: "preflight", version, rule, unit: undefined, pin: undefined, flipped: false };
    for (let seed = 0; seed < 10; seed++) {
      const request = requestOf({ ...preflight, ...facts, random: seededRandom(seed) });
      expect(policy.decide(request)).toEqual(wanted);
      expect(policy.decide(request, trail)).toEqual(wanted);
    }
    expect(trail[0]).toMatchObject({ stage: "preflight", outcome: "used" });
  });

  it("is no user, whatever pin, unit or browser it has", () => {
    const policy = new Release({
      ...shop,
      sticky: { ...sticky, by: { kind: "clientAddress" }, assets: "follow-document" },
    });
    const headers = { ...preflight.headers, "sec-fetch-dest": "empty", "sec-fetch-site": "same-site" };
    const clientAddress = parseAddress("192.0.2.1");
    const request = requestOf({ ...preflight, headers, clientAddress, pin: pinOf({ version: "canary" }) });
    expect(policy.decide(request)).toMatchObject({ reason: "preflight", version: "stable", pin: undefined });
  });

  it("obeys an override and a caller that decided", () => {
    const policy = new Release(shop);
    expect(policy.decide(requestOf({ ...preflight, override: "v3" }))).toMatchObject({ reason: "override" });
    expect(policy.decide(requestOf({ ...preflight, propagated: "v3" }))).toMatchObject({ reason: "propagated" });
  });

  it.each<[string, FactsOf]>([
    ["another method", { ...preflight, method: "GET" }],
    ["no Origin", { ...preflight, headers: { "access-control-request-method": "PUT" } }],
    ["no announced method", { ...preflight, headers: { origin: "https://app.example" } }],
  ])("is none with %s", (_sentence, facts) => {
    expect(new Release(shop).decide(requestOf(facts)).reason).toBe("split");
  });
});
