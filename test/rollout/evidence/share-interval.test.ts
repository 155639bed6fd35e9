import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { differenceInterval, shareInterval } from "../../../src/rollout/evidence/share-interval.ts";
import { seededNumbers } from "../../kit/simulated-plane.ts";

const exactly = (bad: number, users: number) => ({ bad, users, within: undefined });

describe("shareInterval", () => {
  it.each([
    ["nobody was seen", 0, 0, 0, 1],
    ["one good user", 0, 1, 0, 0.99999],
    ["one bad user", 1, 1, 0.00001, 1],
    ["none of 1,000", 0, 1_000, 0, 0.012],
    ["10 of 1,000", 10, 1_000, 0.001, 0.03],
    ["half of 10,000", 5_000, 10_000, 0.475, 0.525],
    ["1 % of a million", 10_000, 1_000_000, 0.0095, 0.0105],
    ["all of 1,000", 1_000, 1_000, 0.98, 1],
  ])("holds what is possible where %s", (_, bad, users, low, high) => {
    const interval = shareInterval(exactly(bad, users), 0.01);
    expect(interval[0]).toBeGreaterThanOrEqual(low);
    expect(interval[1]).toBeLessThanOrEqual(high);
    expect(interval[0]).toBeLessThanOrEqual(users === 0 ? 0 : bad / users);
    expect(interval[1]).toBeGreaterThanOrEqual(users === 0 ? 1 : bad / users);
  });

  it("narrows with more users, and rises with more bad ones", () => {
    const counts = fc.tuple(fc.nat(500), fc.nat(2_000));
    fc.assert(
      fc.property(counts, ([bad, good]) => {
        const [low, high] = shareInterval(exactly(bad, bad + good), 0.05);
        const tenfold = shareInterval(exactly(10 * bad, 10 * (bad + good)), 0.05);
        expect(tenfold[0]).toBeGreaterThanOrEqual(low - 1e-9);
        expect(tenfold[1]).toBeLessThanOrEqual(high + 1e-9);
        const worse = shareInterval(exactly(bad + 1, bad + 1 + good), 0.05);
        expect(worse[0]).toBeGreaterThanOrEqual(low - 1e-9);
        const wider = shareInterval(exactly(bad, bad + good), 0.01);
        expect(wider[0]).toBeLessThanOrEqual(low + 1e-9);
        expect(wider[1]).toBeGreaterThanOrEqual(high - 1e-9);
      }),
    );
  });

  it("is wider where users are known roughly only", () => {
    const [low, high] = shareInterval(exactly(200, 20_000), 0.01);
    const rough = shareInterval({ bad: 200, users: 20_000, within: 0.02 }, 0.01);
    expect(rough[0]).toBeLessThan(low);
    expect(rough[1]).toBeGreaterThan(high);
  });

  it.each([0.003, 0.05, 0.5])(
    "loses a share of %d in at most one of ten runs, looked at after every third user",
    (share) => {
      const random = seededNumbers(20_260_601);
      const runs = 200;
      let lost = 0;
      for (let run = 0; run < runs; run++) {
        let bad = 0;
        for (let users = 1; users <= 1_000; users++) {
          if (random() < share) bad += 1;
          if (users % 3 !== 0) continue;
          const [low, high] = shareInterval(exactly(bad, users), 0.1);
          if (low <= share && share <= high) continue;
          lost += 1;
          break;
        }
      }
      expect(lost / runs).toBeLessThanOrEqual(0.1);
    },
  );
});

describe("differenceInterval", () => {
  it.each([
    ["nobody was seen", exactly(0, 0), exactly(0, 0), -1, 1],
    ["the baseline was not seen", exactly(0, 1_000), exactly(0, 0), -1, 0.02],
    ["equal shares", exactly(100, 10_000), exactly(100, 10_000), -0.01, 0.01],
  ])("holds what is possible where %s", (_, first, second, low, high) => {
    const interval = differenceInterval(first, second, 0.01);
    expect(interval[0]).toBeGreaterThanOrEqual(low);
    expect(interval[1]).toBeLessThanOrEqual(high);
  });

  it("rules out zero for a share that is ten times the other", () => {
    expect(differenceInterval(exactly(100, 1_000), exactly(100, 10_000), 0.01)[0]).toBeGreaterThan(0.04);
  });
});
