import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CoinEvidence, shifted, worse } from "../../../src/rollout/evidence/coin-evidence.ts";
import { seededNumbers } from "../../kit/simulated-plane.ts";

function evidenceOf(tosses: readonly (readonly [isCandidate: boolean, odds: number])[], effects = worse): CoinEvidence {
  const evidence = new CoinEvidence(effects);
  for (const [isCandidate, odds] of tosses) evidence.toss(isCandidate, odds);
  return evidence;
}

describe("CoinEvidence", () => {
  it("is the likelihood ratio, as computed by hand", () => {
    const evidence = new CoinEvidence([{ odds: 3, weight: 1 }]);
    evidence.toss(true, 0.1);
    const first = 3 / (0.3 + 0.9);
    expect(evidence.value).toBeCloseTo(0.5 * first + 0.5);
    evidence.toss(false, 0.5);
    const second = 1 / (1.5 + 0.5);
    const late = 0.5 / Math.log2(3);
    expect(evidence.value).toBeCloseTo(0.5 * first * second + (0.5 - late) * second + late);
  });

  it.each([
    ["worse", worse],
    ["shifted", shifted],
  ])("has prior weights that are a whole: %s", (_, effects) => {
    expect(effects.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1);
  });

  it("is expected to be 1 where the coins are as they are said to be, whatever the odds are", () => {
    const odds = fc.array(fc.double({ min: 0.03, max: 0.999, noNaN: true }), { maxLength: 7 });
    fc.assert(
      fc.property(odds, fc.constantFrom(worse, shifted), (coins, effects) => {
        let expected = 0;
        for (let outcome = 0; outcome < 2 ** coins.length; outcome++) {
          const isCandidate = (at: number) => (outcome & (1 << at)) !== 0;
          const probability = coins.reduce((product, p, at) => product * (isCandidate(at) ? p : 1 - p), 1);
          const tosses = coins.map((p, at) => [isCandidate(at), p] as const);
          expected += probability * evidenceOf(tosses, effects).value;
        }
        expect(expected).toBeCloseTo(1, 6);
      }),
      { numRuns: 40 },
    );
  });

  it.each([0, 1, -1, 2, Number.NaN])("skips a coin that tells nothing: odds %d", (odds) => {
    const evidence = evidenceOf([[true, odds]]);
    expect(evidence).toMatchObject({ value: 1, tosses: 0, candidates: 0, odds: 0 });
  });

  it.each([
    ["a dead candidate with 1 % of users", Array.from({ length: 3 }, () => [true, 0.01] as const)],
    ["a dead candidate with half of the users", Array.from({ length: 11 }, () => [true, 0.5] as const)],
    ["37 of 50 users on the tenth", Array.from({ length: 50 }, (_, at) => [at % 50 < 37, 0.1] as const)],
  ])("is beyond 400 for %s", (_, tosses) => {
    expect(evidenceOf(tosses).value).toBeGreaterThan(400);
  });

  it("stays small where the candidate is better, and is bounded where it is worse", () => {
    expect(evidenceOf(Array.from({ length: 1_000 }, () => [false, 0.5] as const)).value).toBeLessThan(0.1);
    expect(evidenceOf(Array.from({ length: 100_000 }, () => [true, 0.01] as const)).value).toBe(1e12);
  });

  it("finds an effect that begins after ten thousand tosses without one", () => {
    const random = seededNumbers(5);
    const evidence = new CoinEvidence(worse);
    for (let toss = 0; toss < 10_000; toss++) evidence.toss(random() < 0.1, 0.1);
    expect(evidence.peak).toBeLessThan(20);
    for (let toss = 0; toss < 100; toss++) evidence.toss(random() < 0.5, 0.1);
    expect(evidence.value).toBeGreaterThan(1_000);
  });

  it("remembers its peak and goes on from what it saved", () => {
    const tosses = [...Array.from({ length: 5 }, () => true), ...Array.from({ length: 40 }, () => false)];
    const whole = new CoinEvidence(worse);
    let continued = new CoinEvidence(worse);
    for (const isCandidate of tosses) {
      whole.toss(isCandidate, 0.1);
      continued.toss(isCandidate, 0.1);
      continued = CoinEvidence.restore(JSON.parse(JSON.stringify(continued.save())), worse);
    }
    expect(continued.value).toBe(whole.value);
    expect(continued.peak).toBe(whole.peak);
    expect(whole.peak).toBeGreaterThan(100);
    expect(whole.value).toBeLessThan(10);
    expect(continued).toMatchObject({ tosses: 45, candidates: 5 });
    expect(continued.odds).toBeCloseTo(0.1);
  });
});
