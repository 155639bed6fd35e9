import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UnitSample } from "../../../src/rollout/evidence/unit-sample.ts";
import { wordsOf } from "../../kit/simulated-plane.ts";

const throughJson = (sample: UnitSample, capacity: number) =>
  UnitSample.restore(JSON.parse(JSON.stringify(sample.save())), capacity);

describe("UnitSample", () => {
  it("knows every unit's marks up to its capacity", () => {
    const step = fc.tuple(fc.nat(60), fc.constantFrom(1, 2, 3, 128));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const sample = new UnitSample(61);
        const known = new Map<number, number>();
        for (const [user, marks] of steps) {
          const { hi, lo } = wordsOf(user);
          expect(sample.mark(hi, lo, marks)).toBe(known.get(user) ?? 0);
          known.set(user, (known.get(user) ?? 0) | marks);
        }
        for (const mark of [1, 2, 128]) {
          expect(sample.countOf(mark)).toBe([...known.values()].filter((marks) => (marks & mark) !== 0).length);
        }
        expect(sample.oneOf).toBe(1);
      }),
    );
  });

  it("is told apart by both words, zero included", () => {
    const sample = new UnitSample(10);
    for (const [hi, lo] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [-1, -1],
      [-(2 ** 31), 2 ** 31 - 1],
    ] as const) {
      expect(sample.mark(hi, lo, 1)).toBe(0);
      expect(sample.mark(hi, lo, 1)).toBe(1);
    }
    expect(sample.countOf(1)).toBe(5);
  });

  it("keeps a share of more units than it can hold, and estimates how many there are", () => {
    const sample = new UnitSample(2_000);
    for (let user = 0; user < 100_000; user++) {
      const { hi, lo } = wordsOf(user);
      sample.mark(hi, lo, user % 4 === 0 ? 2 : 1);
    }
    expect(sample.oneOf).toBe(64);
    expect(sample.countOf(1) / 75_000).toBeCloseTo(1, 0);
    expect(Math.abs(sample.countOf(2) / 25_000 - 1)).toBeLessThan(0.2);
  });

  it("answers the same for a unit for as long as it is in it", () => {
    const sample = new UnitSample(100);
    let answers = 0;
    for (let user = 0; user < 5_000; user++) {
      const { hi, lo } = wordsOf(user);
      if (sample.mark(hi, lo, 1) === undefined) continue;
      answers += 1;
      // It may halve again, but never takes a unit for another one.
      expect(sample.mark(hi, lo, 1)).toBe(1);
    }
    expect(answers).toBeLessThan(1_000);
  });

  it("goes on from what it saved as if it had not stopped", () => {
    const users = fc.array(fc.tuple(fc.nat(400), fc.constantFrom(1, 2)), { maxLength: 600 });
    fc.assert(
      fc.property(users, fc.nat(599), (steps, stop) => {
        const whole = new UnitSample(90);
        let continued = new UnitSample(90);
        for (const [at, [user, marks]] of steps.entries()) {
          const { hi, lo } = wordsOf(user);
          if (at === stop) continued = throughJson(continued, 90);
          expect(continued.mark(hi, lo, marks)).toBe(whole.mark(hi, lo, marks));
        }
        expect(continued.countOf(1)).toBe(whole.countOf(1));
      }),
    );
  });

  it("fits into a smaller capacity than it was saved with", () => {
    const sample = new UnitSample(1_000);
    for (let user = 0; user < 1_000; user++) sample.mark(wordsOf(user).hi, wordsOf(user).lo, 1);
    const smaller = throughJson(sample, 300);
    expect(smaller.oneOf).toBeGreaterThanOrEqual(4);
    expect(Math.abs(smaller.countOf(1) / 1_000 - 1)).toBeLessThan(0.25);
  });

  it.each([
    ["nothing", undefined],
    ["a level that is none", { level: 40, table: { units: "", marks: "" } }],
    ["half a unit", { level: 0, table: { units: "AAAA", marks: "AQ==" } }],
    ["a unit without marks", { level: 0, table: { units: "AAAAAAAAAAA=", marks: "AA==" } }],
    ["no base64", { level: 0, table: { units: "§", marks: "" } }],
  ])("does not go on from %s", (_, saved) => {
    expect(() => UnitSample.restore(saved, 10)).toThrow();
  });
});
