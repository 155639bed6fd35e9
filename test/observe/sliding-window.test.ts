import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SlidingWindow, slotMs } from "../../src/observe/sliding-window.ts";

const minuteMs = 60_000;

const counted = (...timesMs: readonly number[]): SlidingWindow => {
  const window = new SlidingWindow();
  for (const timeMs of timesMs) window.count(timeMs);
  return window;
};

describe("a sliding window", () => {
  test.each([
    { about: "an event of this instant", eventsMs: [0], spanMs: minuteMs, nowMs: 0, wanted: 1 },
    { about: "events of one slot", eventsMs: [0, 5_000, 9_999], spanMs: minuteMs, nowMs: 9_999, wanted: 3 },
    { about: "an event a moment before it leaves", eventsMs: [0], spanMs: minuteMs, nowMs: 59_999, wanted: 1 },
    { about: "an event that just left", eventsMs: [0], spanMs: minuteMs, nowMs: 60_000, wanted: 0 },
    { about: "an event that left by the slot", eventsMs: [9_999], spanMs: minuteMs, nowMs: 60_000, wanted: 0 },
    { about: "an event of the slot that stays", eventsMs: [10_000], spanMs: minuteMs, nowMs: 69_999, wanted: 1 },
    { about: "five minutes, to the last moment", eventsMs: [0], spanMs: 5 * minuteMs, nowMs: 299_999, wanted: 1 },
    { about: "five minutes, and then none", eventsMs: [0], spanMs: 5 * minuteMs, nowMs: 300_000, wanted: 0 },
    { about: "a place used again", eventsMs: [0, 0, 300_000], spanMs: 5 * minuteMs, nowMs: 300_000, wanted: 1 },
    { about: "a long silence", eventsMs: [0], spanMs: minuteMs, nowMs: 86_400_000, wanted: 0 },
    { about: "a span beyond memory", eventsMs: [0, 299_999], spanMs: 60 * minuteMs, nowMs: 299_999, wanted: 2 },
    { about: "a wall clock", eventsMs: [1.9e12, 1.9e12 - 70_000], spanMs: minuteMs, nowMs: 1.9e12, wanted: 1 },
    { about: "a clock set back far", eventsMs: [3_610_000, 5_000], spanMs: minuteMs, nowMs: 6_000, wanted: 1 },
    {
      about: "a clock set back to a place in use",
      eventsMs: [3_600_000, 5_000],
      spanMs: minuteMs,
      nowMs: 6_000,
      wanted: 1,
    },
  ])("counts $about", ({ eventsMs, spanMs, nowMs, wanted }) => {
    expect(counted(...eventsMs).total(spanMs, nowMs)).toBe(wanted);
  });

  test("agrees with a list of the events, whatever their times", () => {
    const steps = fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(steps, fc.constantFrom(1, 5), (stepsMs, minutes) => {
        let nowMs = 0;
        const timesMs = stepsMs.map((stepMs) => (nowMs += stepMs));
        const oldestMs = (Math.floor(nowMs / slotMs) + 1) * slotMs - minutes * minuteMs;
        expect(counted(...timesMs).total(minutes * minuteMs, nowMs)).toBe(
          timesMs.filter((timeMs) => timeMs >= oldestMs).length,
        );
      }),
      { numRuns: 200 },
    );
  });
});
