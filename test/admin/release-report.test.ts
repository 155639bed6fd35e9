import { describe, expect, test } from "vitest";
import { reportRelease } from "../../src/admin/api.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";

const versions = ["stable", "canary"];
const shop = { name: "shop", versions, split: { stable: 3, canary: 1 } };
const fresh = () => new StatsRegistry().begin().release("shop", versions, ["east"]);

describe("a release's report", () => {
  test("has the observed and the configured share", () => {
    const stats = fresh();
    const nowMs = 600_000;
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
          lastMinute: { decisions: 3, placed: 1, share: 0.75 },
          lastFiveMinutes: { decisions: 9, placed: 1, share: 0.9 },
        },
        {
          version: "canary",
          configuredShare: 0.25,
          lastMinute: { decisions: 1, placed: 1, share: 0.25 },
          lastFiveMinutes: { decisions: 1, placed: 1, share: 0.1 },
        },
      ],
      rules: [{ rule: "east", hits: 1 }],
      pinFlips: 2,
      pinsRejected: { forged: 0, expired: 1, oversized: 0, malformed: 0 },
    });
  });

  test("has no observed share without decisions, and no configured share without a split", () => {
    const nothing = { decisions: 0, placed: 0, share: null };
    expect(reportRelease({ ...shop, split: undefined }, fresh(), 0).versions).toEqual(
      versions.map((version) => ({
        version,
        configuredShare: null,
        lastMinute: nothing,
        lastFiveMinutes: nothing,
      })),
    );
  });
});
