import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RolloutTraffic } from "../../src/decide/release-traffic.ts";
import type { Unit } from "../../src/decide/unit.ts";
import { bucketCount, durationBucketOf } from "../../src/observe/rollout/duration-buckets.ts";
import type { EndedAnswer } from "../../src/observe/rollout/failed-answer.ts";
import { KnownUnits } from "../../src/observe/rollout/known-units.ts";
import type { BadAnswerQuestions, RolloutReport, Side } from "../../src/observe/rollout/rollout-report.ts";
import { RolloutTap } from "../../src/observe/rollout/rollout-tap.ts";
import { RolloutTaps } from "../../src/observe/rollout/rollout-taps.ts";

const good: EndedAnswer = {
  status: 200,
  grpcStatus: undefined,
  error: undefined,
  fault: undefined,
  failedAttempt: false,
  durationMs: 10,
};
const failed: EndedAnswer = { ...good, status: 500 };
const slow: EndedAnswer = { ...good, durationMs: 150 };

const asked: BadAnswerQuestions = {
  failures: new Set([500]),
  slowLimitsMs: [100],
  wantsBaselineDurations: false,
};

const traffic: RolloutTraffic = {
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  candidateIs: "drawn",
  step: 0,
  weight: 10,
  rings: [],
};

const unitOf = (number: number): Unit => ({ source: "attribute", hi: Math.imul(number, 0x9e3779b1), lo: number });

/** Timers that fire when the test says so. */
function pendingTimers() {
  const pending = new Map<() => void, number>();
  return {
    pending,
    schedule(ms: number, callback: () => void) {
      const call = () => callback();
      pending.set(call, ms);
      return () => void pending.delete(call);
    },
    fire() {
      const due = [...pending.keys()];
      pending.clear();
      for (const call of due) call();
    },
  };
}

function tapped(questions = asked) {
  const timers = pendingTimers();
  const reports: RolloutReport[] = [];
  const parts = { handOver: (report: RolloutReport) => void reports.push(report), schedule: timers.schedule, seed: 7 };
  const tap = new RolloutTap("shop", traffic, questions, parts);
  const observe = (number: number, answer: EndedAnswer, side: Side = "candidate") =>
    tap.observe(unitOf(number), side, 0.1, answer);
  /** What was handed over so far, and what is left. */
  const all = () => {
    timers.fire();
    return reports.splice(0);
  };
  const sightings = () =>
    all()
      .flatMap((report) => report.sightings)
      .map(({ lo, side, seen, bad, goodBefore }) => ({ unit: lo, side, seen, bad, goodBefore }));
  return { tap, timers, reports, observe, all, sightings };
}

describe("a unit", () => {
  it("is reported when it is new and when it returns, and then not again", () => {
    const { observe, all } = tapped();
    for (let answer = 0; answer < 5; answer++) observe(1, good);
    const [report, ...more] = all();
    expect(more).toEqual([]);
    const { hi, lo } = unitOf(1);
    expect(report?.sightings).toEqual([
      { hi, lo, side: "candidate", odds: 0.1, seen: "first", bad: 0, goodBefore: 0 },
      { hi, lo, side: "candidate", odds: 0.1, seen: "returned", bad: 0, goodBefore: 1 },
    ]);
    expect(report?.drawn).toEqual({ baseline: { good: 0, failed: 0 }, candidate: { good: 5, failed: 0 } });
  });

  it("that is known is reported at its first bad answer of each kind", () => {
    const { observe, sightings } = tapped();
    for (const answer of [good, good, good, slow, slow, { ...failed, durationMs: 150 }, failed]) observe(1, answer);
    expect(sightings().map(({ seen, bad }) => [seen, bad])).toEqual([
      ["first", 0],
      ["returned", 0],
      ["known", 0b10],
      ["known", 0b11],
    ]);
  });

  it("that always fails is reported once more, when it returns", () => {
    const { observe, sightings } = tapped();
    for (let answer = 0; answer < 5; answer++) observe(1, failed);
    expect(sightings().map(({ seen, bad }) => [seen, bad])).toEqual([
      ["first", 1],
      ["returned", 1],
    ]);
  });

  it("that is slow again and again is not reported again", () => {
    const { observe, sightings } = tapped();
    for (const answer of [good, good, slow, slow, slow, good, slow]) observe(1, answer);
    expect(sightings().map(({ bad }) => bad)).toEqual([0, 0, 0b10]);
  });

  it("that fails after a good answer is reported again: the version may have died since", () => {
    const { observe, sightings } = tapped();
    for (const answer of [failed, good, good, failed, failed, good, failed]) observe(1, answer);
    expect(sightings().map(({ seen, bad, goodBefore }) => [seen, bad, goodBefore])).toEqual([
      ["first", 1, 0],
      ["returned", 0, 0],
      ["known", 1, 2],
      ["known", 1, 1],
    ]);
  });

  it("is reported again on its new side, with what it meets there", () => {
    const { observe, sightings } = tapped();
    observe(1, failed, "baseline");
    observe(1, failed, "baseline");
    observe(1, good);
    observe(1, failed);
    expect(sightings().map(({ side, seen, bad }) => [side, seen, bad])).toEqual([
      ["baseline", "first", 1],
      ["baseline", "returned", 1],
      ["candidate", "known", 0],
      ["candidate", "known", 1],
    ]);
  });

  it("is reported again in another step, or once the weights have changed, and not where all is the same", () => {
    const { tap, observe, sightings } = tapped();
    observe(1, good);
    observe(1, good);
    expect(sightings()).toHaveLength(2);
    expect(tap.direct({ ...traffic, rings: [] }, { ...asked })).toBe(true);
    observe(1, good);
    expect(sightings()).toEqual([]);
    for (const next of [
      { ...traffic, weight: 20 },
      { ...traffic, weight: 20, rings: [{ key: "east", weight: 50 }] },
      { ...traffic, weight: 20, rings: [{ key: "east", weight: 60 }] },
      { ...traffic, step: 1, weight: 20, rings: [{ key: "east", weight: 60 }] },
    ]) {
      tap.direct(next, asked);
      observe(1, good);
      observe(1, good);
      expect(sightings().map(({ seen }) => seen)).toEqual(["known"]);
    }
  });
});

describe("good answers before", () => {
  it("are those on the same side since its last bad sighting, of all units", () => {
    const { observe, sightings } = tapped();
    for (const unit of [1, 2, 3]) observe(unit, good);
    for (const unit of [1, 2, 3]) observe(unit, good);
    observe(9, good, "baseline");
    for (const unit of [1, 2, 3]) observe(unit, good);
    observe(4, failed);
    observe(5, failed);
    observe(1, good);
    observe(6, failed);
    observe(8, failed, "baseline");
    const bad = sightings().filter((each) => each.bad !== 0);
    expect(bad.map(({ unit, goodBefore }) => [unit, goodBefore])).toEqual([
      [4, 9],
      [5, 0],
      [6, 1],
      [8, 1],
    ]);
  });

  it("may have been slow: what answers is not dead", () => {
    const { observe, sightings } = tapped();
    observe(1, slow);
    observe(1, slow);
    observe(2, failed);
    expect(sightings().at(-1)).toMatchObject({ unit: 2, goodBefore: 0 });
    observe(1, failed);
    observe(3, failed);
    observe(1, slow);
    observe(4, good);
    observe(5, failed);
    expect(sightings().at(-1)).toMatchObject({ unit: 5, goodBefore: 2 });
  });
});

describe("answers", () => {
  it("without odds, or without a unit, are counted apart and not judged", () => {
    const { tap, all } = tapped();
    tap.observe(unitOf(1), "candidate", undefined, failed);
    tap.observe(undefined, "candidate", undefined, good);
    tap.observe(unitOf(2), "baseline", undefined, good);
    expect(all()).toEqual([
      {
        release: "shop",
        id: "2.4.0",
        sightings: [],
        drawn: { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } },
        placed: { baseline: { good: 1, failed: 0 }, candidate: { good: 1, failed: 1 } },
        baselineDurations: [],
      },
    ]);
  });

  it("that say nothing of the version leave no trace", () => {
    const { observe, all, timers } = tapped();
    observe(1, { ...good, status: 499 });
    expect([timers.pending.size, all()]).toEqual([0, []]);
  });

  it("of the baseline are timed if a check asks for it", () => {
    const { observe, all } = tapped({ ...asked, wantsBaselineDurations: true });
    observe(1, good, "baseline");
    observe(2, { ...good, durationMs: 20 }, "baseline");
    observe(3, { ...good, durationMs: 20 }, "baseline");
    observe(4, { ...good, status: 101, durationMs: 9_999 }, "baseline");
    observe(5, good);
    const [report] = all();
    const wanted = new Array<number>(bucketCount).fill(0);
    wanted[durationBucketOf(10)] = 1;
    wanted[durationBucketOf(20)] = 2;
    expect(report?.baselineDurations).toEqual(wanted);
    observe(1, good);
    expect(all()[0]?.baselineDurations).toEqual([]);
  });
});

describe("a report", () => {
  it("waits 100 ms for more, and there is none without news", () => {
    const { observe, timers, reports } = tapped();
    observe(1, good);
    observe(2, good);
    expect([reports, [...timers.pending.values()]]).toEqual([[], [100]]);
    timers.fire();
    expect(reports.map(({ sightings }) => sightings.length)).toEqual([2]);
    timers.fire();
    expect(reports).toHaveLength(1);
  });

  it("of a bad answer does not wait, and takes along what waited", () => {
    const { observe, timers, reports } = tapped();
    observe(1, good, "baseline");
    observe(2, failed);
    expect(reports).toMatchObject([
      { sightings: [{ side: "baseline" }, { bad: 1 }], drawn: { baseline: { good: 1 }, candidate: { failed: 1 } } },
    ]);
    expect(timers.pending.size).toBe(0);
    observe(2, failed);
    observe(2, failed);
    expect(reports).toHaveLength(2);
    timers.fire();
    expect(reports[2]).toMatchObject({ sightings: [], drawn: { candidate: { failed: 1 } } });
  });

  it("of a bad answer leaves the durations, which are many numbers, for later", () => {
    const { observe, timers, reports } = tapped({ ...asked, wantsBaselineDurations: true });
    observe(1, good, "baseline");
    observe(2, failed);
    expect(reports.map(({ baselineDurations }) => baselineDurations.length)).toEqual([0]);
    timers.fire();
    expect(reports.map(({ baselineDurations }) => baselineDurations.length)).toEqual([0, bucketCount]);
  });

  it("does not wait if there are a thousand sightings", () => {
    const { observe, reports } = tapped();
    for (let unit = 0; unit < 3_000; unit++) observe(unit, good);
    expect(reports.map(({ sightings }) => sightings.length)).toEqual([1_024, 1_024]);
  });

  it("may close the tap while it is handed over", () => {
    const { tap, timers } = tapped();
    let taken = 0;
    const closing = new RolloutTap("shop", traffic, asked, {
      handOver: () => {
        taken++;
        closing.close();
      },
      schedule: timers.schedule,
      seed: 1,
    });
    closing.observe(unitOf(1), "candidate", 0.1, failed);
    closing.observe(unitOf(2), "candidate", 0.1, failed);
    timers.fire();
    expect(taken).toBe(1);
    tap.close();
  });
});

describe("units", () => {
  it("are known in bounded memory: the last 49,152 at least, and the oldest are new again", () => {
    const { observe, all } = tapped();
    for (let unit = 0; unit < 200_000; unit++) observe(unit, good);
    all();
    for (let unit = 200_000 - 49_152; unit < 200_000; unit++) observe(unit, good);
    const seen = all().flatMap(({ sightings }) => sightings.map((each) => each.seen));
    expect([seen.length, new Set(seen)]).toEqual([49_152, new Set(["returned"])]);
    observe(0, good);
    expect(all()[0]?.sightings[0]?.seen).toBe("first");
  });

  it("are told apart like in a map without bounds, while there are few", () => {
    const word = fc.integer({ min: -3, max: 3 });
    const steps = fc.array(fc.tuple(word, word, fc.integer({ min: 1, max: 1_000 })), { maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer(), (all, seed) => {
        const known = new KnownUnits(seed);
        const map = new Map<string, number>();
        for (const [hi, lo, state] of all) {
          const place = known.find(hi, lo);
          expect(known.stateAt(place)).toBe(map.get(`${hi} ${lo}`) ?? 0);
          expect(known.badAt(place)).toBe((map.get(`${hi} ${lo}`) ?? 0) * 2);
          known.set(place, state, state * 2);
          map.set(`${hi} ${lo}`, state);
        }
      }),
      { seed: 14, numRuns: 50 },
    );
  });
});

it("whatever comes: counts are exact, every unit is reported first, and each new kind of bad answer is", () => {
  const step = fc.record({
    unit: fc.integer({ min: 0, max: 5 }),
    side: fc.constantFrom<Side>("baseline", "candidate"),
    answer: fc.constantFrom(good, failed, slow),
    flush: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { observe, timers, reports } = tapped();
      const bad = new Set<string>();
      const good = { baseline: 0, candidate: 0 };
      const failures = { baseline: 0, candidate: 0 };
      for (const { unit, side, answer, flush } of steps) {
        observe(unit, answer, side);
        if (answer.status === 500) failures[side]++;
        else good[side]++;
        if (answer !== steps[0]?.answer && answer.status === 500) bad.add(`${unit}`);
        if (flush) timers.fire();
      }
      timers.fire();
      const sum = (side: Side, kind: "good" | "failed") =>
        reports.reduce((total, { drawn }) => total + drawn[side][kind], 0);
      for (const side of ["baseline", "candidate"] as const) {
        expect([sum(side, "good"), sum(side, "failed")]).toEqual([good[side], failures[side]]);
      }
      const sightings = reports.flatMap((report) => report.sightings);
      const units = new Set(steps.map(({ unit }) => unit));
      for (const unit of units) {
        const own = sightings.filter(({ lo }) => lo === unit);
        const times = steps.filter((each) => each.unit === unit).length;
        expect(own.map(({ seen }) => seen).slice(0, 2)).toEqual(["first", "returned"].slice(0, times));
        expect(own.slice(2).every(({ seen }) => seen === "known")).toBe(true);
      }
      for (const unit of bad) expect(sightings.some(({ lo, bad }) => `${lo}` === unit && (bad & 1) === 1)).toBe(true);
    }),
    { seed: 14, numRuns: 200 },
  );
});

describe("taps", () => {
  function taps() {
    const timers = pendingTimers();
    const reports: RolloutReport[] = [];
    const made = new RolloutTaps({
      handOver: (report) => reports.push(report),
      schedule: timers.schedule,
      seed: 3,
    });
    const direct = (rollout: RolloutTraffic | undefined, questions: BadAnswerQuestions | undefined = asked) =>
      made.direct({
        traffic: new Map([["shop", { split: undefined, rollout }]]),
        questions: new Map(questions === undefined ? [] : [["shop", questions]]),
      });
    return { taps: made, slot: made.slot("shop"), direct, timers, reports };
  }

  it("exist only for rollouts that draw and about which something is asked", () => {
    const { taps: made, slot, direct } = taps();
    expect(slot.current).toBeUndefined();
    direct(traffic);
    expect(slot.current?.sideOf("canary")).toBe("candidate");
    expect(slot.current?.sideOf("stable")).toBe("baseline");
    expect(slot.current?.sideOf("other")).toBeUndefined();
    expect(made.slot("shop")).toBe(slot);
    direct({ ...traffic, candidateIs: "withdrawn", step: 0 });
    expect(slot.current).toBeUndefined();
    direct(traffic);
    expect(slot.current).toBeDefined();
    direct(undefined);
    expect(slot.current).toBeUndefined();
    made.direct({ traffic: new Map([["shop", { split: undefined, rollout: traffic }]]), questions: new Map() });
    expect(slot.current).toBeUndefined();
  });

  it("go on while the rollout does, and another rollout has another", () => {
    const { slot, direct } = taps();
    direct(traffic);
    const first = slot.current;
    direct({ ...traffic, weight: 50 }, { ...asked, slowLimitsMs: [5] });
    expect(slot.current).toBe(first);
    direct({ ...traffic, id: "2.5.0" });
    expect(slot.current).not.toBe(first);
    expect(slot.current?.id).toBe("2.5.0");
  });

  it("that are replaced report nothing more, not even what waited", () => {
    const { slot, direct, timers, reports } = taps();
    direct(traffic);
    const old = slot.current;
    old?.observe(unitOf(1), "candidate", 0.1, good);
    direct({ ...traffic, candidateIs: "withdrawn", step: 0 });
    old?.observe(unitOf(2), "candidate", 0.1, failed);
    timers.fire();
    expect(reports).toEqual([]);
  });
});
