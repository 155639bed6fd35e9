import { describe, expect, it } from "vitest";
import { DistinctUnits, exactUnits } from "../../../src/rollout/evidence/distinct-units.ts";
import { seededNumbers } from "../../kit/simulated-plane.ts";

const random = seededNumbers(14);
const digest = () => Math.floor(random() * 2 ** 32) | 0;

const shapes: readonly (readonly [string, (at: number) => readonly [number, number]])[] = [
  ["digests", () => [digest(), digest()]],
  ["units that count up in the low word", (at) => [0, at]],
  ["units that count up in the high word", (at) => [at, 0]],
  ["units whose words are equal", (at) => [at, at]],
];

describe.each(shapes)("DistinctUnits of %s", (_, unitAt) => {
  it("are counted exactly to 10,000, then within 2 %", () => {
    const units = new DistinctUnits();
    for (let at = 1; at <= 300_000; at++) {
      const [hi, lo] = unitAt(at);
      units.add(hi, lo);
      units.add(hi, lo);
      if (at <= exactUnits && (at % 1_000 === 0 || at === exactUnits - 1)) expect(units.count).toBe(at);
      if (at === exactUnits) expect(units.isExact).toBe(true);
      if (at > exactUnits && at % 1_500 === 1) expect(Math.abs(units.count / at - 1)).toBeLessThan(0.02);
    }
    expect(units.isExact).toBe(false);
  });
});

describe("DistinctUnits", () => {
  it.each([0, 1, 10_000, 10_001, 60_000])("go on from what they saved: %d", (count) => {
    const units = new DistinctUnits();
    for (let at = 0; at < count; at++) units.add(at, -at);
    const saved = JSON.stringify(units.save());
    const continued = DistinctUnits.restore(JSON.parse(saved));
    expect(saved.length).toBeLessThan(150_000);
    expect(continued.count).toBe(units.count);
    for (let at = count - 5; at < count + 500; at++) {
      units.add(at, -at);
      continued.add(at, -at);
    }
    expect(continued.count).toBe(units.count);
  });

  it.each([
    ["nothing", undefined],
    ["another sketch", { registers: "AAAA" }],
    ["ranks that no hash has", { registers: Buffer.alloc(32_768, 40).toString("base64") }],
  ])("do not go on from %s", (_, saved) => {
    expect(() => DistinctUnits.restore(saved)).toThrow();
  });
});
