import { describe, expect, it } from "vitest";
import type { StepSpec } from "../../src/decide/rollout-spec.ts";
import type { RolloutReport, Sighting } from "../../src/observe/rollout/rollout-report.ts";
import { OddsByPlan } from "../../src/rollout/replay/odds-by-plan.ts";
import { Replay, type ReplayedJudge } from "../../src/rollout/replay/replay.ts";
import type { CheckResult } from "../../src/rollout/rollout-state.ts";
import { plan } from "./plan/plans.ts";

const minute = 60_000;
const startMs = Date.UTC(2026, 2, 1);

function step(weight: number, holdMs = 10 * minute, ring?: string): StepSpec {
  const reached = ring === undefined ? undefined : ({ key: ring, when: { kind: "all", conditions: [] } } as never);
  return { kind: "weight", weight, holdMs, atLeastUsers: 0, ring: reached };
}

const specOf = (...steps: readonly StepSpec[]) => plan({ id: "1", steps, drift: "off" });

/** A judge that keeps what it was told, and fails at the n-th bad sighting. */
class KeepingJudge implements ReplayedJudge {
  readonly reports: { readonly report: RolloutReport; readonly nowMs: number }[] = [];
  readonly #failsAt: number;
  #failedAtMs: number | undefined;

  constructor(failsAt = Number.POSITIVE_INFINITY) {
    this.#failsAt = failsAt;
  }

  get sightings(): Sighting[] {
    return this.reports.flatMap(({ report }) => [...report.sightings]);
  }

  total(of: "drawn" | "placed", side: "baseline" | "candidate"): readonly [good: number, failed: number] {
    const counts = this.reports.map(({ report }) => report[of][side]);
    return [counts.reduce((sum, { good }) => sum + good, 0), counts.reduce((sum, { failed }) => sum + failed, 0)];
  }

  report(report: RolloutReport, nowMs: number): CheckResult | undefined {
    this.reports.push({ report, nowMs });
    const isBad = this.sightings.filter(({ bad }) => bad !== 0).length >= this.#failsAt;
    if (!isBad || this.#failedAtMs !== undefined) return undefined;
    this.#failedAtMs = nowMs;
    return this.checks()[0];
  }

  look(): undefined {
    return undefined;
  }

  checks(): readonly CheckResult[] {
    const atMs = this.#failedAtMs ?? null;
    const nothing = { baseline: null, candidate: null, evidence: null, limit: null, interval: null, why: "" };
    return [
      { name: "errors", metric: "errors", verdict: atMs === null ? "not-enough-data" : "fail", atMs, ...nothing },
    ];
  }

  questions() {
    return { failures: new Set([500]), slowLimitsMs: [], wantsBaselineDurations: false };
  }
}

/** A good answer of a unit that was drawn to the baseline, one second after the last. */
function lines(...changes: readonly Readonly<Record<string, unknown>>[]): string[] {
  return changes.map((change, at) =>
    JSON.stringify({
      time: new Date(startMs + 1_000 * at).toISOString(),
      release: "shop",
      version: "stable",
      reason: "split",
      unit: `00000000${at.toString(16).padStart(8, "0")}`,
      odds: 0.25,
      status: 200,
      durationMs: 5,
      ...change,
    }),
  );
}

function replayed(texts: readonly string[], { judge = new KeepingJudge(), spec = specOf(step(10)) } = {}) {
  const replay = new Replay("shop", spec, judge);
  const read = texts.findIndex((text) => !replay.take(text)) + 1 || texts.length;
  return { judge, replay, read, ended: replay.end() };
}

describe("a replayed line", () => {
  it("is judged with its own odds, side and unit", () => {
    const { judge, replay } = replayed(
      lines({}, { version: "canary", unit: "fedcba9876543210", odds: 0.5, status: 500 }),
    );
    expect(judge.sightings).toEqual([
      { hi: 0, lo: 0, side: "baseline", odds: 0.25, seen: "first", bad: 0, goodBefore: 0 },
      { hi: 0xfedcba98 | 0, lo: 0x76543210, side: "candidate", odds: 0.5, seen: "first", bad: 1, goodBefore: 0 },
    ]);
    expect(replay.counts).toMatchObject({ lines: 2, judged: 2, judgedByPlan: 0, judgedWithoutUnit: 0, placed: 0 });
  });

  it.each([
    ["a rule", { reason: "rule", odds: undefined }],
    ["an override", { reason: "override" }],
    ["a caller", { reason: "propagated", odds: 0.5 }],
    ["a preflight", { reason: "preflight", odds: undefined }],
    ["a held pin", { reason: "pin", odds: undefined }],
    ["the service's default", { reason: "default", odds: undefined }],
    ["odds that are none", { odds: 7 }],
  ])("of %s is counted apart and not judged", (_, change) => {
    const { judge, replay } = replayed(lines({ version: "canary", status: 500, ...change }, change));
    expect(judge.sightings).toEqual([]);
    expect([judge.total("placed", "candidate"), judge.total("placed", "baseline")]).toEqual([
      [0, 1],
      [1, 0],
    ]);
    expect(replay.counts).toMatchObject({ lines: 2, placed: 2, judged: 0 });
  });

  it("of a rule that the rollout draws is judged", () => {
    expect(replayed(lines({ reason: "rule", rule: "beta", odds: 0.5 })).judge.sightings).toHaveLength(1);
  });

  it("counts against the version that was assigned, if another served", () => {
    const { judge } = replayed(lines({ version: "stable", assigned: "canary", rescued: true }));
    expect(judge.sightings).toMatchObject([{ side: "candidate", bad: 1 }]);
  });

  it.each([
    ["the client left", { status: 499, error: "client-closed" }],
    ["a fault was injected", { status: 503, fault: "abort", error: "fault" }],
    ["the client erred", { status: 413, error: "body-too-large" }],
  ])("tells nothing where %s", (_, change) => {
    const { judge } = replayed(lines({ version: "canary", ...change }, {}));
    expect(judge.sightings).toMatchObject([{ side: "baseline", bad: 0 }]);
  });

  it.each([
    ["a cut transfer", { error: "upstream-reset" }],
    ["a failed gRPC call", { grpcStatus: 14 }],
    ["an attempt that a retry rescued", { failedAttempt: true }],
    ["a status of failures", { status: 500, error: "an error of another version of Perch" }],
  ])("fails by %s", (_, change) => {
    expect(replayed(lines({ version: "canary", ...change })).judge.sightings).toMatchObject([{ bad: 1 }]);
  });

  it("of a version that nobody was drawn to is not judged", () => {
    const { replay, judge } = replayed(lines({ version: "canary", odds: 0 }, { version: "stable", odds: 1 }));
    expect(judge.sightings).toEqual([]);
    expect(replay.counts.impossible).toBe(2);
  });

  it("without a unit is a user of its own", () => {
    const { judge, replay } = replayed(
      lines({ unit: undefined }, { unit: undefined }, { unit: "ada" }, { unit: "ada" }),
    );
    expect(judge.sightings.map(({ seen }) => seen)).toEqual(["first", "first", "first", "returned"]);
    expect(new Set(judge.sightings.map(({ hi, lo }) => `${hi} ${lo}`)).size).toBe(3);
    expect(replay.counts.judgedWithoutUnit).toBe(2);
  });

  it("that is not of the rollout is skipped and counted", () => {
    const { replay } = replayed([
      ...lines(
        { version: "next" },
        { version: undefined },
        { release: "other" },
        { time: "yesterday" },
        { time: undefined },
        { msg: "audit", version: undefined },
      ),
      ...["", "\r", "nonsense", "[]", "null", '{"release":"shop"}', '{"status":200}'],
    ]);
    const skipped = { broken: 5, other: 3, otherReleases: 1, otherVersions: 2, judged: 0, placed: 0, impossible: 0 };
    expect(replay.counts).toEqual({ lines: 11, ...skipped, judgedByPlan: 0, judgedWithoutUnit: 0 });
    expect(replay.requests).toBe(2);
  });
});

describe("a replay", () => {
  it("stops at the line at which a check fails", () => {
    const bad = { version: "canary", status: 500 };
    const made = replayed([...lines({ release: "other" }), ...lines({}, bad, {}, bad, bad)], {
      judge: new KeepingJudge(2),
    });
    expect({ read: made.read, requests: made.replay.requests }).toEqual({ read: 5, requests: 4 });
    expect(made.ended).toMatchObject([{ requests: 4, check: { verdict: "fail", atMs: startMs + 3_000 } }]);
  });

  it("has read everything where no verdict fell", () => {
    expect(replayed(lines({}, {}, {})).ended).toMatchObject([{ requests: 3, check: { verdict: "not-enough-data" } }]);
  });

  it("goes on in the log's own time, which never goes back", () => {
    const at = (seconds: number) => ({ time: new Date(startMs + 1_000 * seconds).toISOString() });
    const { judge } = replayed(lines(at(10), { ...at(3), status: 500 }, { ...at(20), status: 500 }, at(15)));
    const times = judge.reports.map(({ nowMs }) => (nowMs - startMs) / 1_000);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect([times.at(0), times.at(-1)]).toEqual([10, 20]);
  });

  it("loses no answer", () => {
    const many = Array.from({ length: 3_000 }, (_, at) => ({
      version: at % 3 === 0 ? "canary" : "stable",
      status: at % 7 === 0 ? 500 : 200,
    }));
    const { judge } = replayed(lines(...many));
    expect([judge.total("drawn", "candidate"), judge.total("drawn", "baseline")]).toEqual([
      [857, 143],
      [1714, 286],
    ]);
    expect(judge.sightings).toHaveLength(3_000);
  });

  it("takes times as numbers too", () => {
    const { replay } = replayed(lines({ time: startMs }, { time: startMs + 500 }));
    expect(replay.span).toEqual({ firstMs: startMs, lastMs: startMs + 500 });
  });

  it("takes the plan's odds where a drawn line has none", () => {
    const spec = specOf(step(10), { kind: "pause" }, step(50));
    const at = (ms: number) => ({ time: startMs + ms, odds: undefined });
    const { judge, replay } = replayed(lines(at(0), at(10 * minute - 1), at(10 * minute), at(11 * minute)), { spec });
    expect(judge.sightings.map(({ odds }) => odds)).toEqual([0.1, 0.1, 0.5, 0.5]);
    expect(replay.counts.judgedByPlan).toBe(4);
  });
});

describe("the plan's odds", () => {
  it("give rings no part in the general weight, though their hold passes", () => {
    const odds = new OddsByPlan(specOf(step(50, 5 * minute, "staff"), step(1), step(80, minute, "east"), step(10)));
    const times = [0, 5, 15, 15.5, 16].map((minutes) => odds.take("candidate", minutes * minute));
    expect(times).toEqual([0, 0.01, 0.01, 0.01, 0.1]);
  });

  it("are 1 after the end of a plan that completes", () => {
    const odds = new OddsByPlan(specOf(step(10)));
    expect(odds.take("candidate", 10 * minute)).toBe(1);
    // Requests that began before the end.
    for (let late = 0; late < 5; late++) odds.take("baseline", 10 * minute + 1);
    for (let later = 0; later < 100; later++) expect(odds.take("candidate", 11 * minute)).toBe(1);
  });

  it("stay those of the last step if the plan pauses then", () => {
    expect(new OddsByPlan({ ...specOf(step(10)), afterLastStep: "pause" }).take("candidate", 100 * minute)).toBe(0.1);
  });

  it("stay those of the last step if the log shows that both are still drawn", () => {
    const odds = new OddsByPlan(specOf(step(10)));
    for (let draw = 0; draw < 20; draw++) odds.take(draw % 10 === 0 ? "candidate" : "baseline", 10 * minute);
    expect(odds.take("candidate", 10 * minute)).toBe(0.1);
  });
});
