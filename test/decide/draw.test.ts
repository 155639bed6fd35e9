import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Draw, percentile, percentSeed } from "../../src/decide/draw.ts";
import type { Weights } from "../../src/decide/release-spec.ts";
import { attributeUnit, randomUnit, type Unit } from "../../src/decide/unit.ts";
import { seededRandom } from "./shop-release.ts";

/** A fair draw exceeds this many standard deviations once in 150,000 trials; all seeds here are fixed. */
const maxDeviations = 4.5;

const random = seededRandom(20260601);
const randomUnits = Array.from({ length: 100_000 }, () => randomUnit(random));
const sequentialUnits = Array.from({ length: 100_000 }, (_, at) => attributeUnit(`user-${at + 1}`));
const fewUnits = randomUnits.slice(0, 2000);

function draw(weights: Weights, release = "shop", salt = ""): Draw {
  return new Draw(release, salt, weights);
}

function countPicks(drawn: Draw, units: readonly Unit[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const unit of units) {
    const version = drawn.pick(unit);
    counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  return counts;
}

/** By how many standard deviations of the binomial distribution a count differs from its share. */
function deviations(count: number, share: number, trials: number): number {
  return Math.abs(count - trials * share) / Math.sqrt(trials * share * (1 - share));
}

/** Two to eight versions with weights from a thousandth of the sum to nearly all of it. */
const anyWeights = fc
  .array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 8 })
  .map((weights) => Object.fromEntries(weights.map((weight, at) => [`v${at + 1}`, weight / 10])));

describe("a version's share of units", () => {
  const splits: Weights[] = [
    { stable: 95, canary: 5 },
    { stable: 99.9, canary: 0.1 },
    { stable: 75, canary: 25 },
    { a: 1, b: 1 },
    { a: 1, b: 2, c: 3 },
    { a: 0.1, b: 0.2, c: 99.7 },
    { a: 10, b: 20, c: 30, d: 40, e: 0 },
    { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 },
    { a: 0.1, b: 1, c: 2, d: 4, e: 8, f: 16, g: 32, h: 36.9 },
  ];
  it.each(splits)("is weight / sum for %j, with random and with sequential units", (weights) => {
    const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
    for (const units of [randomUnits, sequentialUnits]) {
      const counts = countPicks(draw(weights), units);
      for (const [version, weight] of Object.entries(weights)) {
        const count = counts.get(version) ?? 0;
        if (weight === 0) expect(count).toBe(0);
        else expect(deviations(count, weight / sum, units.length), version).toBeLessThan(maxDeviations);
      }
    }
  });

  it("is weight / sum for any weights", () => {
    fc.assert(
      fc.property(anyWeights, fc.string(), (weights, salt) => {
        const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
        const units = randomUnits.slice(0, 20_000);
        const counts = countPicks(draw(weights, "shop", salt), units);
        for (const [version, weight] of Object.entries(weights)) {
          // With few expected units the distribution has a longer tail than the normal one: allow one unit more.
          const off = Math.max(0, Math.abs((counts.get(version) ?? 0) - (units.length * weight) / sum) - 1);
          expect(deviations((units.length * weight) / sum + off, weight / sum, units.length)).toBeLessThan(
            maxDeviations,
          );
        }
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it("is even for units that are numbers, addresses or similar texts", () => {
    const kinds = [
      (at: number) => String(at),
      (at: number) => `10.0.${at >> 8}.${at & 255}`,
      (at: number) => `${at}@example.com`,
    ];
    for (const kind of kinds) {
      const units = Array.from({ length: 50_000 }, (_, at) => attributeUnit(kind(at)));
      const counts = countPicks(draw({ a: 1, b: 1, c: 1, d: 1 }), units);
      for (const count of counts.values()) expect(deviations(count, 0.25, units.length)).toBeLessThan(maxDeviations);
    }
  });
});

describe("a change of weights", () => {
  it("of one version moves units only to it or only away from it, and none between the others", () => {
    const oneChange = fc.tuple(
      anyWeights,
      fc.nat({ max: 7 }),
      fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 200, noNaN: true })),
    );
    fc.assert(
      fc.property(oneChange, ([before, place, weight]) => {
        const names = Object.keys(before);
        const changed = names[place % names.length] ?? "";
        const [old, next] = [draw(before), draw({ ...before, [changed]: weight })];
        const grows = weight > (before[changed] ?? 0);
        const wrong = fewUnits.filter((unit) => {
          const [from, to] = [old.pick(unit), next.pick(unit)];
          return from !== to && (grows ? to : from) !== changed;
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  it("during a ramp only ever moves units to the canary", () => {
    const ramps = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(ramps, (steps) => {
        const onCanary = new Set<Unit>();
        const left = new Set<Unit>();
        for (const canary of steps.sort((one, other) => one - other)) {
          const drawn = draw({ stable: 100 - canary, canary });
          for (const unit of fewUnits) {
            if (drawn.pick(unit) === "canary") onCanary.add(unit);
            else if (onCanary.has(unit)) left.add(unit);
          }
        }
        expect(left.size).toBe(0);
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it("that scales or reorders them, or adds versions with weight zero, moves no unit", () => {
    fc.assert(
      fc.property(anyWeights, fc.integer({ min: 1, max: 64 }), (weights, factor) => {
        const scaled = Object.entries(weights).map(([version, weight]) => [version, weight * factor] as const);
        const [old, next] = [draw(weights), draw({ zero: 0, ...Object.fromEntries(scaled.reverse()) })];
        expect(fewUnits.filter((unit) => next.pick(unit) !== old.pick(unit))).toEqual([]);
      }),
      { numRuns: 40, seed: 4 },
    );
  });
});

/** Pearson's chi-square statistic of a contingency table. */
function chiSquare(table: readonly (readonly number[])[]): number {
  const rows = table.map((row) => row.reduce((sum, count) => sum + count, 0));
  const columns = (table[0] ?? []).map((_, at) => table.reduce((sum, row) => sum + (row[at] ?? 0), 0));
  const total = rows.reduce((sum, count) => sum + count, 0);
  const stats = table.flatMap((row, left) =>
    row.map((count, right) => {
      const expected = ((rows[left] ?? 0) * (columns[right] ?? 0)) / total;
      return (count - expected) ** 2 / expected;
    }),
  );
  return stats.reduce((sum, counter) => sum + counter, 0);
}

/** A contingency table of the outcomes of two draws. */
function contingency(left: (unit: Unit) => number, right: (unit: Unit) => number, size: number): number[][] {
  const table = Array.from({ length: size }, () => Array.from({ length: size }, () => 0));
  for (const unit of sequentialUnits) {
    const row = table[left(unit)];
    const column = right(unit);
    if (row !== undefined) row[column] = (row[column] ?? 0) + 1;
  }
  return table;
}

/** With four degrees of freedom, independent draws exceed it once in 200,000 tables. */
const chiSquareLimit = 30;
const thirds = ["a", "b", "c"];

function byThirds(release: string, salt = ""): (unit: Unit) => number {
  const drawn = draw({ a: 1, b: 1, c: 1 }, release, salt);
  return (unit) => thirds.indexOf(drawn.pick(unit));
}

function byPercent(release: string, rule: string, seed?: string): (unit: Unit) => number {
  const hashed = percentSeed(release, rule, seed);
  return (unit) => Math.floor(percentile(unit, hashed) / (100 / 3));
}

describe("draws of one unit are independent", () => {
  const pairs: [sentence: string, left: (unit: Unit) => number, right: (unit: Unit) => number][] = [
    ["the splits of two releases", byThirds("shop"), byThirds("mail")],
    ["two salts of one release", byThirds("shop", "1"), byThirds("shop", "2")],
    ["a rule's `percent` and the split", byPercent("shop", "beta"), byThirds("shop")],
    ["a rule's `percent` and a split with the salt `percent`", byPercent("shop", "a"), byThirds("shop", "percent")],
    ["a seeded `percent` and the split", byPercent("shop", "beta", "summer"), byThirds("shop")],
    ["the `percent` of two rules", byPercent("shop", "beta"), byPercent("shop", "gamma")],
    ["the `percent` of one rule name in two releases", byPercent("shop", "beta"), byPercent("mail", "beta")],
    ["two seeds", byPercent("shop", "beta", "summer"), byPercent("shop", "beta", "winter")],
  ];
  it.each(pairs)("%s", (_, left, right) => {
    expect(chiSquare(contingency(left, right, 3))).toBeLessThan(chiSquareLimit);
  });

  it("and the test detects dependence", () => {
    expect(chiSquare(contingency(byThirds("shop"), byThirds("shop"), 3))).toBeGreaterThan(chiSquareLimit);
  });

  it("but the same seed selects the same units everywhere", () => {
    expect(percentSeed("shop", "beta", "summer")).toBe(percentSeed("mail", "gamma", "summer"));
  });
});

describe("percentile", () => {
  it("selects the configured share of units", () => {
    const seed = percentSeed("shop", "beta", undefined);
    for (const percent of [0.1, 1, 10, 50, 99]) {
      const taken = sequentialUnits.filter((unit) => percentile(unit, seed) < percent).length;
      expect(deviations(taken, percent / 100, sequentialUnits.length)).toBeLessThan(maxDeviations);
    }
  });
});

describe("Draw", () => {
  it("rejects weights that are all zero", () => {
    expect(() => draw({ stable: 0, canary: 0 })).toThrow(RangeError);
  });

  it("reports the scores that it compares", () => {
    const drawn = draw({ stable: 75, canary: 25, v3: 0 });
    for (const unit of fewUnits.slice(0, 100)) {
      const scores = drawn.scores(unit);
      const best = scores.reduce((left, right) => (right.score > left.score ? right : left));
      expect(best.version).toBe(drawn.pick(unit));
      expect(scores.map(({ version, share }) => [version, share])).toEqual([
        ["canary", 0.25],
        ["stable", 0.75],
      ]);
    }
  });

  it("draws the same in another process", () => {
    const drawIn = new URL("../../src/decide/draw.ts", import.meta.url).href;
    const unitIn = new URL("../../src/decide/unit.ts", import.meta.url).href;
    const program = `
      const { Draw } = await import(${JSON.stringify(drawIn)});
      const { attributeUnit } = await import(${JSON.stringify(unitIn)});
      const draw = new Draw("shop", "salt", { stable: 60, canary: 30, v3: 10 });
      const picks = Array.from({ length: 1000 }, (_, at) => draw.pick(attributeUnit("user-" + at)));
      process.stdout.write(picks.join(" "));`;
    const there = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
    const drawn = draw({ stable: 60, canary: 30, v3: 10 }, "shop", "salt");
    const here = Array.from({ length: 1000 }, (_, at) => drawn.pick(attributeUnit(`user-${at}`)));
    expect(there.split(" ")).toEqual(here);
  });

  it("matches an implementation in another language that was written from docs/decisions.md", () => {
    const drawn = draw({ stable: 60, canary: 30, v3: 10 });
    const answers = {
      "user-1": "canary",
      "user-2": "stable",
      "user-8": "v3",
      "7": "stable",
      "ann@example.com": "canary",
      Zoë: "stable",
      "": "canary",
    };
    for (const [id, version] of Object.entries(answers)) expect(drawn.pick(attributeUnit(id)), id).toBe(version);
  });
});
