/** @module-tag slow */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CheckSpec, RolloutSpec } from "../../src/decide/rollout-spec.ts";
import type { RolloutReport, Side } from "../../src/observe/rollout/rollout-report.ts";
import { RolloutJudge } from "../../src/rollout/judge.ts";
import { noAnswers, SimulatedPlane, seededNumbers, wordsOf } from "../kit/simulated-plane.ts";

const errors: CheckSpec = { kind: "compare", name: "errors", metric: "errors", over: undefined };
const slow: CheckSpec = { kind: "compare", name: "slow", metric: "slow", over: 800 };
const slowP95: CheckSpec = { kind: "compare", name: "slower", metric: "slow", over: "p95" };
const ceiling: CheckSpec = { kind: "at-most", name: "ceiling", metric: "errors", over: undefined, share: 0.05 };
const margin: CheckSpec = { kind: "margin", name: "no-worse", metric: "errors", over: undefined, share: 0.02 };

function specOf(given: Partial<RolloutSpec> = {}): RolloutSpec {
  return {
    ...{ id: "2.4.0", baseline: "stable", candidate: "canary", start: "auto", command: "run" },
    steps: [{ kind: "pause" }],
    ...{ afterLastStep: "complete", checks: [errors], failures: new Set([500]), falseAlarm: 0.01 },
    ...{ onFail: "rollback", drift: "warn", notify: [], candidateEndpoints: [] },
    caps: { users: undefined, failures: undefined, requestsPerSecond: undefined },
    ...given,
  };
}

interface Rates {
  /** Bits of `bad`, by side, and how often each is set. */
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
}

interface Simulation {
  readonly users: number;
  readonly odds: (user: number) => number;
  readonly rates: Rates;
  readonly seed?: number;
  /** Answers to a report. */
  readonly every?: number;
  readonly requestsPerUser?: number;
}

/** Reports of one plane; each user comes twice in a row unless said otherwise. */
function* reportsOf({ users, odds, rates, seed = 1, every = 1, requestsPerUser = 2 }: Simulation) {
  const random = seededNumbers(seed);
  const plane = new SimulatedPlane();
  for (let user = 0; user < users; user++) {
    const share = odds(user);
    const side: Side = random() < share ? "candidate" : "baseline";
    for (let request = 0; request < requestsPerUser; request++) {
      const bad = rates[side].reduce((bits, rate, bit) => (random() < rate ? bits | (1 << bit) : bits), 0);
      plane.answer({ user, side, odds: share, bad });
    }
    if (user % every === every - 1) yield plane.report();
  }
  yield plane.report();
}

const tenth = () => 0.1;
const equal = (...rates: number[]): Rates => ({ baseline: rates, candidate: rates });

function judged(spec: RolloutSpec, simulation: Simulation): RolloutJudge {
  const judge = new RolloutJudge(spec, undefined);
  let nowMs = 0;
  for (const report of reportsOf(simulation)) {
    nowMs += 100;
    judge.report(report, nowMs);
  }
  return judge;
}

const resultOf = (judge: RolloutJudge, name: string) => judge.checks().find((check) => check.name === name);
const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function reportWith(given: Partial<RolloutReport>): RolloutReport {
  const none = { sightings: [], drawn: noAnswers, placed: noAnswers, baselineDurations: [] };
  return { release: "shop", id: "2.4.0", ...none, ...given };
}

/** `count` users from `from`, each with one first answer. */
function firstAnswers(from: number, count: number, side: Side, bad: number, odds = 0.1): RolloutReport {
  const plane = new SimulatedPlane();
  for (let user = from; user < from + count; user++) plane.answer({ user, side, odds, bad });
  return plane.report();
}

describe("the verdicts of checks", () => {
  it.each<[string, CheckSpec, Simulation, string]>([
    ["errors that are as many: pass", errors, { users: 2_000, odds: tenth, rates: equal(0.03) }, "pass"],
    ["no errors at all: pass", errors, { users: 2_000, odds: tenth, rates: equal(0) }, "pass"],
    ["no traffic: no verdict", errors, { users: 0, odds: tenth, rates: equal(0) }, "not-enough-data"],
    ["few users: no verdict", errors, { users: 60, odds: tenth, rates: equal(0.01) }, "not-enough-data"],
    ["no baseline: no verdict", errors, { users: 500, odds: () => 1, rates: equal(0.5) }, "not-enough-data"],
    [
      "ten times the errors: fail",
      errors,
      { users: 3_000, odds: tenth, rates: { baseline: [0.01], candidate: [0.1] } },
      "fail",
    ],
    ["fewer errors: pass", errors, { users: 3_000, odds: tenth, rates: { baseline: [0.1], candidate: [0] } }, "pass"],
    [
      "slow answers: fail",
      slow,
      { users: 3_000, odds: tenth, rates: { baseline: [0, 0.01], candidate: [0, 0.08] } },
      "fail",
    ],
    [
      "errors are not slowness: pass",
      slow,
      { users: 3_000, odds: tenth, rates: { baseline: [0.01, 0.01], candidate: [0.1, 0.01] } },
      "pass",
    ],
    ["a share below the ceiling: pass", ceiling, { users: 8_000, odds: tenth, rates: equal(0.005) }, "pass"],
    ["a share above the ceiling: fail", ceiling, { users: 8_000, odds: tenth, rates: equal(0.06) }, "fail"],
    [
      "a share near the ceiling: no verdict",
      ceiling,
      { users: 3_000, odds: tenth, rates: equal(0.022) },
      "not-enough-data",
    ],
    ["within the margin: pass", margin, { users: 12_000, odds: () => 0.5, rates: equal(0.005) }, "pass"],
    [
      "beyond the margin: fail",
      margin,
      { users: 12_000, odds: () => 0.5, rates: { baseline: [0.005], candidate: [0.04] } },
      "fail",
    ],
    [
      "too few to rule the margin out: no verdict",
      margin,
      { users: 1_000, odds: tenth, rates: equal(0.01) },
      "not-enough-data",
    ],
  ])("%s", (_, check, simulation, verdict) => {
    const judge = judged(specOf({ checks: [check], drift: "off" }), simulation);
    const [result] = judge.checks();
    expect(result).toMatchObject({
      name: check.name,
      metric: check.kind === "prometheus" ? "" : "metric" in check ? check.metric : "",
      verdict,
    });
    expect(result?.atMs === null).toBe(verdict === "not-enough-data");
  });

  it("counts a unit once a question, at its first bad answer, however often planes tell of it", () => {
    const judge = new RolloutJudge(specOf(), undefined);
    const once = firstAnswers(0, 3, "candidate", 1, 0.3);
    judge.report(once, 1);
    const { evidence } = judge.checks()[0] ?? {};
    for (let time = 0; time < 50; time++) judge.report(once, 2 + time);
    judge.report(firstAnswers(0, 3, "baseline", 1, 0.3), 100);
    expect(judge.checks()[0]).toMatchObject({
      evidence,
      candidate: { users: 3, bad: 3 },
      baseline: { users: 3, bad: 3 },
    });
  });

  it("returns a failure once from reports, and every time from a look", () => {
    const judge = new RolloutJudge(specOf(), undefined);
    expect(judge.report(firstAnswers(0, 1, "candidate", 1, 0.01), 1)).toBeUndefined();
    expect(judge.look(2)).toBeUndefined();
    const failed = judge.report(firstAnswers(1, 4, "candidate", 1, 0.01), 3);
    expect(failed).toMatchObject({ name: "errors", verdict: "fail", atMs: 3, limit: 100 });
    expect(judge.report(firstAnswers(5, 4, "candidate", 1, 0.01), 4)).toBeUndefined();
    expect(judge.look(5)).toBe(failed);
    expect(judge.checks()).toContain(failed);
  });

  it("shares the false alarm out over all statistical questions", () => {
    const limitOf = (given: Partial<RolloutSpec>) =>
      resultOf(new RolloutJudge(specOf(given), undefined), "errors")?.limit;
    expect(limitOf({})).toBe(100);
    expect(limitOf({ checks: [errors, slow, ceiling, margin] })).toBe(400);
    expect(limitOf({ drift: "fail" })).toBe(200);
    expect(limitOf({ falseAlarm: 0.05 })).toBe(20);
  });

  it("shows drift, which never stops a rollout that it only warns", () => {
    const strays: Simulation = { users: 3_000, odds: tenth, rates: equal(0) };
    const run = (drift: RolloutSpec["drift"]) => {
      const judge = new RolloutJudge(specOf({ drift }), undefined);
      const failed = [...reportsOf(strays)].flatMap((report) => {
        const sightings = report.sightings.map((sighting) => ({ ...sighting, odds: 0.2 }));
        return judge.report({ ...report, sightings }, 1) ?? [];
      });
      return {
        verdict: resultOf(judge, "drift")?.verdict,
        failed: failed.map(({ name }) => name),
        look: judge.look(2)?.name,
      };
    };
    expect(run("warn")).toEqual({ verdict: "fail", failed: [], look: undefined });
    expect(run("fail")).toEqual({ verdict: "fail", failed: ["drift"], look: "drift" });
    expect(run("off")).toEqual({ verdict: undefined, failed: [], look: undefined });
  });

  it("stops a dead candidate at any share, and shows a catastrophe only then", () => {
    const judge = new RolloutJudge(specOf({ checks: [] }), undefined);
    expect(judge.checks().map(({ name }) => name)).toEqual(["drift"]);
    judge.report(firstAnswers(0, 10, "candidate", 1, 0.9), 1);
    expect(judge.report(firstAnswers(100, 3, "baseline", 0, 0.9), 2)).toMatchObject({ name: "catastrophe", atMs: 2 });
    expect(judge.checks().map(({ name }) => name)).toEqual(["drift", "catastrophe"]);
  });

  it.each([
    ["users", { users: 20 }, "20 users were drawn to canary: that is the cap of 20"],
    ["failures", { failures: 10 }, "10 users met errors on canary: that is the cap of 10"],
    [
      "requestsPerSecond",
      { requestsPerSecond: 4 },
      "4 requests a second of drawn users were on canary: that is the cap of 4",
    ],
  ])("fails at the cap of %s", (name, cap, why) => {
    const caps = { users: undefined, failures: undefined, requestsPerSecond: undefined, ...cap };
    const judge = new RolloutJudge(specOf({ checks: [], drift: "off", caps }), undefined);
    expect(judge.checks()).toMatchObject([{ name: `caps.${name}`, metric: "cap", verdict: "not-enough-data" }]);
    expect(judge.report(firstAnswers(0, 10, "candidate", 0), 1_000)).toBeUndefined();
    judge.report(firstAnswers(50, 9, "baseline", 1), 1_500);
    expect(judge.report(firstAnswers(10, 9, "candidate", 1), 2_000)).toBeUndefined();
    expect(judge.report(firstAnswers(19, 1, "candidate", 1), 2_100)).toMatchObject({ name: `caps.${name}`, why });
  });

  it("knows the rate of the last five seconds only", () => {
    const caps = { users: undefined, failures: undefined, requestsPerSecond: 100 };
    const judge = new RolloutJudge(specOf({ checks: [], drift: "off", caps }), undefined);
    judge.report(firstAnswers(0, 400, "candidate", 0), 10_000);
    expect(judge.checks()[0]?.evidence).toBe(80);
    judge.look(14_999);
    expect(judge.checks()[0]?.evidence).toBe(80);
    expect(judge.report(firstAnswers(400, 400, "candidate", 0), 15_000)).toBeUndefined();
    expect(judge.checks()[0]?.evidence).toBe(80);
  });

  it("adds up no more than five seconds of requests where the clock was set back", () => {
    const caps = { users: undefined, failures: undefined, requestsPerSecond: 100 };
    const judge = new RolloutJudge(specOf({ checks: [], drift: "off", caps }), undefined);
    for (let second = 0; second < 5; second++)
      judge.report(firstAnswers(0, 50, "candidate", 0), 60_000 + second * 1_000);
    for (let second = 0; second < 30; second++) {
      expect(judge.report(firstAnswers(0, 50, "candidate", 0), 1_000 + second * 1_000)).toBeUndefined();
    }
    expect(judge.checks()[0]?.evidence).toBe(50);
  });
});

it("a check that failed stays as it was then", () => {
  const caps = { users: undefined, failures: undefined, requestsPerSecond: 10 };
  const judge = new RolloutJudge(specOf({ checks: [], drift: "off", caps }), undefined);
  const failed = judge.report(firstAnswers(0, 100, "candidate", 0), 10_000);
  expect(failed).toMatchObject({ verdict: "fail", evidence: 20 });
  expect(judge.look(60_000)).toEqual(failed);
  expect(judge.checks()).toEqual([failed]);
});

describe("what a judge says", () => {
  it("is a sentence that can be followed", () => {
    const judge = new RolloutJudge(specOf({ checks: [errors, slow, ceiling, margin], drift: "off" }), undefined);
    judge.report(firstAnswers(0, 370, "candidate", 0), 1);
    judge.report(firstAnswers(1_000, 2_000, "baseline", 0), 2);
    judge.report(firstAnswers(1_000, 13, "baseline", 1), 3);
    judge.report(firstAnswers(0, 37, "candidate", 1), 4);
    expect(judge.checks().map(({ why }) => why)).toMatchInlineSnapshot(`
      [
        "37 of the 50 users who met an error were on canary, which has 10 % of users: the evidence is over a billion, and it fails at 400",
        "no user met an answer slower than 800 ms yet: no proof that it is worse (evidence 1, it fails at 400)",
        "4.63 % to 18 % of canary's users may meet an error (37 of 370 did); to pass, more than 5 % must be ruled out: more users alone will not do that",
        "the share of canary's users who meet an error is at least 2.62 points above stable's (37 of 370 on canary, 13 of 2,000 on stable); the margin is 2 points",
      ]
    `);
  });

  it("tells how much is missing", () => {
    const judge = new RolloutJudge(specOf({ checks: [errors, slowP95, ceiling, margin] }), undefined);
    judge.report(firstAnswers(0, 30, "candidate", 0), 1);
    judge.report(firstAnswers(1_000, 400, "baseline", 0), 2);
    judge.report(firstAnswers(1_000, 1, "baseline", 1), 3);
    expect(judge.checks().map(({ why }) => why)).toMatchInlineSnapshot(`
      [
        "the one user who met an error was not on canary, which has 10 % of users: it waits for users: canary had 30 of 50, stable 400 of 50 (evidence 0.75, it fails at 400)",
        "no user met an answer slower than the baseline's p95 yet: it waits for 200 more answers of stable, whose p95 is the limit (evidence 1, it fails at 400)",
        "0 % to 24.1 % of canary's users may meet an error (0 of 30 did); to pass, more than 5 % must be ruled out: that takes about 150 more users of canary if it stays so",
        "the share of canary's users who meet an error may be from 3.34 points below to 25.8 points above stable's (0 of 30 on canary, 1 of 400 on stable); to pass, more than 2 points must be ruled out: that takes about 480 more users of canary if it stays so",
        "30 of 30 new users were on canary (100 %, 10 % were due), no users who came again yet: this differs from the draw (evidence over a billion, it fails at 100): clients may drop cookies, or the version may lose users",
      ]
    `);
  });
});

describe("the questions", () => {
  it("have a bit for failures and one for each distinct limit", () => {
    const checks: CheckSpec[] = [slow, errors, slowP95, { ...slow, kind: "at-most", name: "slow share", share: 0.1 }];
    expect(new RolloutJudge(specOf({ checks }), undefined).questions()).toEqual({
      failures: new Set([500]),
      slowLimitsMs: [800, Number.POSITIVE_INFINITY],
      wantsBaselineDurations: true,
    });
    expect(new RolloutJudge(specOf(), undefined).questions()).toMatchObject({
      slowLimitsMs: [],
      wantsBaselineDurations: false,
    });
  });

  it("know the baseline's p95 from 200 answers on, and freeze it at 500", () => {
    const judge = new RolloutJudge(specOf({ checks: [slowP95] }), undefined);
    const answers = (count: number, durationMs: number) => {
      const plane = new SimulatedPlane();
      for (let at = 0; at < count; at++) plane.answer({ user: 1, side: "baseline", odds: 0.1, bad: 0, durationMs });
      judge.report(plane.report(), 1);
      return judge.questions();
    };
    expect(answers(199, 100).slowLimitsMs).toEqual([Number.POSITIVE_INFINITY]);
    const [first] = answers(1, 100).slowLimitsMs;
    expect(first).toBeGreaterThanOrEqual(100);
    expect(first).toBeLessThanOrEqual(103);
    const [second] = answers(299, 200).slowLimitsMs;
    expect(second).toBeGreaterThanOrEqual(200);
    expect(judge.questions().wantsBaselineDurations).toBe(true);
    const frozen = answers(1, 200);
    expect(frozen.wantsBaselineDurations).toBe(false);
    expect(answers(10_000, 5_000)).toEqual(frozen);
    const restarted = new RolloutJudge(specOf({ checks: [slowP95] }), throughJson(judge.save()));
    expect(restarted.questions()).toEqual(frozen);
  });

  it("are the same object until they change: planes are told of nothing else", () => {
    const judge = new RolloutJudge(specOf({ checks: [slowP95] }), undefined);
    const asked = judge.questions();
    judge.report(firstAnswers(0, 20, "baseline", 1), 1_000);
    expect(judge.questions()).toBe(asked);
  });
});

describe("what a judge counts", () => {
  it("are users of the rollout and of its step, and answers drawn and placed", () => {
    const judge = new RolloutJudge(specOf(), undefined);
    judge.report(firstAnswers(0, 30, "candidate", 1, 0.9), 1);
    judge.report(firstAnswers(100, 70, "baseline", 0, 0.9), 2);
    judge.beginStep();
    judge.report(firstAnswers(29, 5, "candidate", 0, 0.9), 3);
    const placed = { baseline: { good: 3, failed: 2 }, candidate: { good: 1, failed: 9 } };
    judge.report(reportWith({ placed }), 4);
    judge.report(reportWith({ placed }), 5);
    expect(judge.users).toEqual({ baseline: { users: 70, bad: 0 }, candidate: { users: 34, bad: 30 } });
    expect(judge.stepUsers).toEqual({ baseline: 0, candidate: 5 });
    expect(judge.drawn).toEqual({ baseline: { good: 70, failed: 0 }, candidate: { good: 5, failed: 30 } });
    expect(judge.placed).toEqual({ baseline: { good: 6, failed: 4 }, candidate: { good: 2, failed: 18 } });
  });
});

describe("a judge that goes on from what it saved", () => {
  it("gives the same verdicts as one that never stopped", () => {
    const checks = [errors, slow, slowP95, ceiling, margin];
    const caps = { users: 900, failures: 60, requestsPerSecond: undefined };
    const rate = fc.constantFrom(0, 0.01, 0.05, 0.3, 1);
    const rates = fc.record({ baseline: fc.tuple(rate, rate, rate), candidate: fc.tuple(rate, rate, rate) });
    fc.assert(
      fc.property(
        rates,
        fc.constantFrom(0.05, 0.5, 0.95),
        fc.nat(10_000),
        fc.integer({ min: 1, max: 60 }),
        (given, share, seed, every) => {
          const spec = specOf({ checks, caps, drift: "fail" });
          const whole = new RolloutJudge(spec, undefined);
          let continued = new RolloutJudge(spec, undefined);
          let nowMs = 0;
          const odds = (user: number) => (user < 500 ? share : Math.min(1, 1.5 * share));
          for (const report of reportsOf({ users: 700, odds, rates: given, seed, every })) {
            nowMs += 100;
            expect(continued.report(report, nowMs)).toEqual(whole.report(report, nowMs));
            if (nowMs % 700 === 0) continued = new RolloutJudge(spec, throughJson(continued.save()));
          }
          expect(continued.checks()).toEqual(whole.checks());
          expect(continued.look(nowMs)).toEqual(whole.look(nowMs));
          expect(continued.users).toEqual(whole.users);
          expect(continued.stepUsers).toEqual(whole.stepUsers);
          expect(continued.drawn).toEqual(whole.drawn);
          expect(continued.questions()).toEqual(whole.questions());
        },
      ),
      { numRuns: 25 },
    );
  });

  it("keeps a failed check over edits of others, and asks anew what was edited", () => {
    const before = judged(specOf(), { users: 500, odds: tenth, rates: { baseline: [0], candidate: [0.5] } });
    const failed = resultOf(before, "errors");
    expect(failed?.verdict).toBe("fail");
    const added = new RolloutJudge(specOf({ checks: [slow, errors] }), throughJson(before.save()));
    expect(resultOf(added, "errors")).toEqual(failed);
    expect(added.look(1)).toEqual(failed);
    const edited = new RolloutJudge(specOf({ checks: [ceiling] }), throughJson(before.save()));
    expect(edited.look(1_000_000)).toMatchObject({ name: "ceiling", atMs: 1_000_000 });
  });

  it.each([
    ["nothing", null],
    ["a text", "judge"],
    ["a list", [1, 2]],
    ["another format", { format: "perch-rollouts", version: 1 }],
    ["a newer version", { format: "perch-judge", version: 2, users: {} }],
    ["a part of one", { format: "perch-judge", version: 1, users: { whole: {} } }],
    ["numbers that are none", { format: "perch-judge", version: 1, drawn: { baseline: { good: -1, failed: "x" } } }],
    ["a verdict that is none", { format: "perch-judge", version: 1, verdicts: { drift: { verdict: "maybe" } } }],
  ])("is a new one where it was given %s", (_, saved) => {
    const judge = new RolloutJudge(specOf(), saved);
    expect(judge.checks()).toEqual(new RolloutJudge(specOf(), undefined).checks());
    expect(judge.users.candidate.users).toBe(0);
  });
});

describe("a judge's bounds", () => {
  it("holds whatever clients send, in memory and in the state file, and still finds a bad candidate", () => {
    const limits = Array.from(
      { length: 5 },
      (_, at): CheckSpec => ({ ...slow, name: `slow ${at}`, over: 100 * (at + 1) }),
    );
    const judge = new RolloutJudge(specOf({ checks: [errors, ceiling, ...limits], drift: "off" }), undefined);
    for (let from = 0; from < 300_000; from += 2_000) {
      const plane = new SimulatedPlane();
      for (let user = from; user < from + 2_000; user++) {
        plane.answer({ user, side: user % 10 === 9 ? "candidate" : "baseline", odds: 0.1, bad: 0b111111 });
      }
      judge.report(plane.report(), from);
    }
    expect(JSON.stringify(judge.save()).length).toBeLessThan(2_000_000);
    expect(resultOf(judge, "slow 0")?.verdict).toBe("pass");
    expect(resultOf(judge, "slow 0")?.why).toContain("only one of 32 is judged");
    expect(Math.abs(judge.users.baseline.users / 270_000 - 1)).toBeLessThan(0.02);
    expect(Math.abs(judge.users.candidate.bad / 30_000 - 1)).toBeLessThan(0.2);
    const failed = Array.from({ length: 10 }, (_, at) =>
      judge.report(firstAnswers(400_000 + 2_000 * at, 2_000, "candidate", 0b10), at),
    );
    expect(failed.find(Boolean)).toMatchObject({ name: "slow 0" });
  });

  it("takes a report of 1,000 sightings in well under 5 ms", () => {
    const judge = new RolloutJudge(specOf({ checks: [errors, slow, slowP95, ceiling, margin] }), undefined);
    const reports = [...reportsOf({ users: 100_000, odds: tenth, rates: equal(0.01, 0.01, 0.05), every: 500 })];
    const times = reports.map((report) => {
      const startedMs = performance.now();
      judge.report(report, 1);
      return performance.now() - startedMs;
    });
    const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
    expect(median).toBeLessThan(5);
  });

  it("draws nothing from units whose draw was certain, nor from bits that it did not ask for", () => {
    const judge = new RolloutJudge(specOf(), undefined);
    const { hi, lo } = wordsOf(1);
    const sighting = { hi, lo, side: "candidate", seen: "first", bad: 0b1000001, goodBefore: 0 } as const;
    judge.report(
      reportWith({
        sightings: [
          { ...sighting, odds: 1 },
          { ...sighting, lo: lo + 1, odds: 0 },
        ],
      }),
      1,
    );
    expect(judge.checks()[0]).toMatchObject({ evidence: 1, candidate: { users: 2, bad: 2 } });
  });
});

describe("false alarms", () => {
  /** A third of the heavy clients is broken on either version, and comes again and again. */
  function* correlated(seed: number): Iterable<RolloutReport> {
    const random = seededNumbers(seed);
    const salt = seededNumbers(seed + 1_000_003);
    const draws = Array.from({ length: 400 }, () => salt());
    const plane = new SimulatedPlane();
    for (let request = 0; request < 3_000; request++) {
      const isHeavy = random() < 0.3;
      const user = Math.floor(random() * (isHeavy ? 8 : 400));
      const odds = request < 1_000 ? 0.1 : 0.4;
      const isBroken = user < 3;
      const bits = ((isBroken ? random() < 0.9 : random() < 0.01) ? 1 : 0) | (random() < 0.02 ? 2 : 0);
      plane.answer({ user, side: (draws[user] ?? 1) < odds ? "candidate" : "baseline", odds, bad: bits });
      yield plane.report();
    }
  }

  it("stay below what was asked for, watched after every answer, with broken clients and a rising share", () => {
    const spec = specOf({ checks: [errors, slow, { ...ceiling, share: 0.3 }, margin], falseAlarm: 0.1, drift: "fail" });
    const rollouts = 150;
    let alarms = 0;
    for (let rollout = 0; rollout < rollouts; rollout++) {
      const judge = new RolloutJudge(spec, undefined);
      for (const report of correlated(7_919 * rollout)) {
        if (judge.report(report, 1) === undefined) continue;
        alarms += 1;
        break;
      }
    }
    expect(alarms / rollouts).toBeLessThanOrEqual(0.1);
  });
});
