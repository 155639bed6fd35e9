import { describe, expect, test } from "vitest";
import { reportRelease } from "../../src/admin/api.ts";
import { Release } from "../../src/decide/release.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { weightRatios, withWeightsInForce } from "../../src/observe/weight-ratio.ts";
import { shop as spec } from "../decide/shop-release.ts";

const versions = ["stable", "canary"];
const shop = { name: "shop", versions, split: { stable: 3, canary: 1 } };
const fresh = () => new StatsRegistry().begin().release("shop", versions, ["east"]);
const nowMs = 600_000;

describe("a release's report", () => {
  test("has the observed and the configured share of what was drawn, and counts apart what was placed", () => {
    const stats = fresh();
    for (let index = 0; index < 6; index++) stats.decided("stable", "split", nowMs - 120_000);
    for (let index = 0; index < 3; index++) stats.decided("stable", "split", nowMs);
    stats.decided("canary", "split", nowMs);
    stats.decided("stable", "pin", nowMs);
    stats.decided("canary", "rule", nowMs);
    stats.ruleHit("east");
    stats.pinFlips.value = 2;
    stats.pinRejected("expired");
    expect(reportRelease(shop, stats, nowMs)).toEqual({
      release: "shop",
      versions: [
        {
          version: "stable",
          configuredShare: 0.75,
          lastMinute: { decisions: 3, placed: 1, share: 0.75, expectedShare: 0.75 },
          lastFiveMinutes: { decisions: 9, placed: 1, share: 0.9, expectedShare: 0.75 },
        },
        {
          version: "canary",
          configuredShare: 0.25,
          lastMinute: { decisions: 1, placed: 1, share: 0.25, expectedShare: 0.25 },
          lastFiveMinutes: { decisions: 1, placed: 1, share: 0.1, expectedShare: 0.25 },
        },
      ],
      rules: [{ rule: "east", hits: 1 }],
      pinFlips: 2,
      pinsRejected: { forged: 0, expired: 1, oversized: 0, malformed: 0 },
    });
  });

  test("has no observed share without decisions, and no configured share without a split", () => {
    const nothing = { decisions: 0, placed: 0, share: null, expectedShare: null };
    expect(reportRelease({ ...shop, split: undefined }, fresh(), 0).versions).toEqual(
      versions.map((version) => ({
        version,
        configuredShare: null,
        lastMinute: nothing,
        lastFiveMinutes: nothing,
      })),
    );
  });

  test.each(["override", "propagated", "rule", "pin", "default"] as const)(
    "counts a decision by %s as placed, and as drawn where it has odds",
    (reason) => {
      const stats = fresh();
      stats.decided("canary", reason, nowMs);
      stats.decided("canary", reason, nowMs, 0.1);
      const [, canary] = reportRelease(shop, stats, nowMs).versions;
      expect(canary?.lastMinute).toMatchObject({ decisions: 1, placed: 1 });
    },
  );

  test("expects of draws in a ring what their ring has, which is no drift", () => {
    const stats = fresh();
    const spec = { ...shop, split: { stable: 90, canary: 10 }, rollout: { baseline: "stable", candidate: "canary" } };
    for (let index = 0; index < 40; index++) stats.decided(index < 4 ? "canary" : "stable", "split", nowMs, 0.1);
    for (let index = 0; index < 40; index++) stats.decided(index < 20 ? "canary" : "stable", "rule", nowMs, 0.5);
    const [stable, canary] = reportRelease(spec, stats, nowMs).versions.map(({ lastMinute }) => lastMinute);
    expect(canary?.share).toBe(0.3);
    expect(canary?.expectedShare).toBeCloseTo(0.3, 12);
    expect(stable?.expectedShare).toBeCloseTo(0.7, 12);
  });

  test("expects of a version beside the rollout what the split gives it", () => {
    const three = [...versions, "v3"];
    const stats = new StatsRegistry().begin().release("shop", three, []);
    const rollout = { baseline: "stable", candidate: "canary" };
    for (let index = 0; index < 20; index++) stats.decided("v3", "split", nowMs);
    for (let index = 0; index < 80; index++) stats.decided(index < 40 ? "canary" : "stable", "split", nowMs, 0.5);
    const spec = { name: "shop", versions: three, split: { stable: 40, canary: 40, v3: 20 }, rollout };
    const expected = reportRelease(spec, stats, nowMs).versions.map(({ lastMinute }) => lastMinute.expectedShare);
    expect(expected).toEqual([0.4, 0.4, 0.2]);
  });
});

describe("the weights in force", () => {
  const ratios = (release: Release) =>
    Object.fromEntries(Array.from(weightRatios([withWeightsInForce(release)]), (each) => [each.version, each.ratio]));

  test("are those that an operator or a rollout set, as long as they are set", () => {
    const release = new Release({ ...spec, split: { stable: 3, canary: 1 } });
    expect(ratios(release)).toMatchObject({ stable: 0.75, canary: 0.25 });
    release.direct({ split: { stable: 1, canary: 1 }, rollout: undefined });
    expect(ratios(release)).toMatchObject({ stable: 0.5, canary: 0.5 });
    const step = { id: "1", baseline: "stable", candidate: "canary", weight: 10, rings: [] };
    release.direct({ split: undefined, rollout: { ...step, candidateIs: "drawn", step: 0 } });
    expect(ratios(release)).toMatchObject({ stable: 0.9, canary: 0.1 });
    release.direct({ split: undefined, rollout: { ...step, candidateIs: "withdrawn", step: 0 } });
    expect(ratios(release)).toMatchObject({ stable: 1, canary: 0 });
    release.direct(undefined);
    expect(ratios(release)).toMatchObject({ stable: 0.75, canary: 0.25 });
  });
});
