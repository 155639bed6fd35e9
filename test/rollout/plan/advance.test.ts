import { describe, expect, test } from "vitest";
import { planner } from "../../../src/rollout/plan/planner.ts";
import { gate, margin, minute, pauseStep, plan, result, seen, step, Trial } from "./plans.ts";

describe("a plan by time", () => {
  test("begins by itself, holds each step for its time, and completes", () => {
    const trial = new Trial();
    expect(trial.at).toBe("progressing 1 10");
    expect(trial.wait(minute - 1_000).at).toBe("progressing 1 10");
    expect(trial.wait(1_000).at).toBe("progressing 2 50");
    expect(trial.wait(minute).at).toBe("progressing 3 100");
    expect(trial.wait(minute).at).toBe("completed 3 100");
    expect(trial.events).toEqual(["started", "step", "step", "completed"]);
    expect(trial.state.track.map(({ heldMs }) => heldMs)).toEqual([minute, minute, minute]);
  });

  test("changes only the counted time between transitions, and nothing where no time passed", () => {
    const { spec, state } = new Trial();
    const move = planner.advance(spec, state, seen(), 1_000);
    expect(move).toEqual({ state: { ...state, heldMs: 1_000, countedAtMs: 1_000 }, events: [] });
    expect(planner.advance(spec, move.state, seen(), 1_000).state).toBe(move.state);
  });

  test("takes one step a look, however short its hold", () => {
    const steps = [step(10, { holdMs: 0 }), step(50, { holdMs: 0 }), step(100, { holdMs: 0 })];
    const trial = new Trial(plan({ steps }));
    expect([trial.at, trial.wait(1_000).at, trial.wait(1_000).at]).toEqual([
      "progressing 1 10",
      "progressing 2 50",
      "progressing 3 100",
    ]);
  });

  test("waits at a pause until it is resumed, and after the last step with `then: pause`", () => {
    const trial = new Trial(plan({ steps: [step(10), pauseStep, step(50)], afterLastStep: "pause" }));
    expect(trial.wait(10 * minute).at).toBe("paused 2 10");
    expect(trial.do("resume").at).toBe("progressing 3 50");
    expect(trial.wait(10 * minute).at).toBe("paused 3 50");
    expect(trial.do("resume").at).toBe("completed 3 100");
    expect(trial.events).toEqual(["started", "paused", "step", "paused", "completed"]);
  });

  test("pauses once where its last step is a pause, also with `then: pause`", () => {
    const trial = new Trial(plan({ steps: [step(10), pauseStep], afterLastStep: "pause" })).wait(minute);
    expect(trial.at).toBe("paused 2 10");
    expect(trial.do("resume").at).toBe("completed 2 100");
  });

  test("a plan may begin with a pause, which gives nobody the candidate", () => {
    const trial = new Trial(plan({ steps: [pauseStep, step(10)] }));
    expect(trial.wait(minute).at).toBe("paused 1 0");
    expect(trial.events).toEqual(["started", "paused"]);
    expect(trial.do("resume").at).toBe("progressing 2 10");
  });
});

describe("a clock that jumps", () => {
  test.each([
    ["an hour forward", 3_600_000, 30_000],
    ["an hour back", -3_600_000, 30_000],
    ["half a minute back", -30_000, 30_000],
    ["a look that is late", 20_000, 50_000],
  ])("%s: only watched time counts", (_, jumpMs, heldMs) => {
    const trial = new Trial().wait(30_000);
    const nowMs = trial.nowMs + jumpMs;
    const { state } = planner.advance(trial.spec, trial.state, trial.seen, nowMs);
    expect(state).toMatchObject({ step: 0, heldMs, countedAtMs: nowMs });
  });
});

describe("a step that asks for data", () => {
  test("holds until enough users were seen, and says how many", () => {
    const trial = new Trial(plan({ steps: [step(10, { users: 500 }), step(50)] }));
    expect(trial.wait(60 * minute).at).toBe("holding 1 10");
    expect(trial.state.why).toBe("0 of at least 500 users of the candidate have been seen");
    trial.seen = seen({ stepUsers: 499 });
    expect(trial.wait(1_000).state.why).toContain("499 of at least 500");
    trial.seen = seen({ stepUsers: 500 });
    expect(trial.wait(1_000).at).toBe("progressing 2 50");
    expect(trial.events).toEqual(["started", "holding", "step"]);
  });

  test("holds until a margin is shown, and names its check", () => {
    const trial = new Trial(plan({ checks: [margin] }));
    expect(trial.wait(2 * minute).state.why).toBe("check no-worse: it has no data yet");
    const about = { name: "no-worse", why: "about 900 users are missing" };
    trial.seen = seen({ checks: [result({ ...about, verdict: "not-enough-data" })] });
    expect(trial.wait(1_000).state.why).toBe("check no-worse: about 900 users are missing");
    expect(trial.at).toBe("holding 1 10");
    trial.seen = seen({ checks: [result({ ...about, verdict: "pass" })] });
    expect(trial.wait(1_000).at).toBe("progressing 2 50");
  });

  test("has data before its time: time decides", () => {
    const trial = new Trial(plan({ steps: [step(10, { users: 5 }), step(50)] }));
    trial.seen = seen({ stepUsers: 5 });
    expect(trial.wait(59_000).at).toBe("progressing 1 10");
    expect(trial.wait(1_000).at).toBe("progressing 2 50");
  });
});

describe("gates", () => {
  test("are asked once nothing else is in the way, and hold the step before", () => {
    const asked: number[] = [];
    const trial = new Trial(plan({ checks: [gate(2)] }));
    let isOpen = false;
    trial.seen = seen({
      mayBegin: (next) => {
        asked.push(next);
        return isOpen;
      },
      checks: [result({ name: "smoke", metric: "webhook", verdict: "not-enough-data", why: "it answered 503" })],
    });
    trial.wait(59_000);
    expect(asked).toEqual([]);
    expect(trial.wait(1_000).at).toBe("holding 1 10");
    expect(trial.state.why).toBe("step 2 (50 %) waits for gate smoke (smoke: it answered 503)");
    isOpen = true;
    expect(trial.wait(1_000).at).toBe("progressing 2 50");
    trial.wait(2 * minute);
    expect(trial.at).toBe("completed 3 100");
    expect([...new Set(asked)]).toEqual([2, 3]);
  });

  test.each([
    ["by itself", plan({ checks: [gate(1)] }), "pending 0 0"],
    ["when asked to", plan({ checks: [gate(1)], start: "manual" }), "holding 0 0"],
  ])("before the first step hold the start: %s", (_, spec, at) => {
    const trial = new Trial(spec);
    if (spec.start === "manual") trial.do("start");
    trial.seen = seen({ mayBegin: () => false });
    expect(trial.wait(5_000).at).toBe(at);
    expect(trial.traffic).toBeUndefined();
    trial.seen = seen();
    expect(trial.wait(1_000).at).toBe("progressing 1 10");
    expect(trial.events.at(-1)).toBe("started");
  });

  test("after a pause hold the step that was resumed", () => {
    const trial = new Trial(plan({ steps: [step(10), pauseStep, step(50)], checks: [gate(3)] })).wait(minute);
    trial.seen = seen({ mayBegin: () => false });
    expect(trial.do("resume").wait(minute).at).toBe("holding 2 10");
    expect(trial.do("pause").do("resume").wait(1_000).at).toBe("holding 2 10");
    trial.seen = seen();
    expect(trial.wait(1_000).at).toBe("progressing 3 50");
  });
});

describe("rings", () => {
  const steps = [step(1), step(50, { ring: "east" }), step(10), step(80, { ring: "east" }), step(20, { ring: "west" })];

  test("get their own weight, keep it, and leave everybody else's", () => {
    const trial = new Trial(plan({ steps }));
    const weights = steps.map(() => {
      const { weight, rings = [] } = trial.traffic ?? {};
      trial.wait(minute);
      return [weight, ...rings.map((ring) => `${ring.key} ${ring.weight}`)];
    });
    expect(weights).toEqual([[1], [1, "east 50"], [10, "east 50"], [10, "east 80"], [10, "east 80", "west 20"]]);
    expect(trial.traffic).toMatchObject({ candidateIs: "drawn", weight: 100, rings: [] });
  });

  test("and weights never go down, whatever the plan says", () => {
    const down = [step(50), step(10), step(60, { ring: "east" }), step(30, { ring: "east" })];
    const trial = new Trial(plan({ steps: down })).wait(3 * minute);
    expect(trial.traffic).toMatchObject({ weight: 50, rings: [{ key: "east", weight: 60 }] });
  });
});

describe("a check that fails", () => {
  const why = result().why;

  test.each([
    ["progressing", new Trial(), "rolled-back"],
    ["paused", new Trial().do("pause"), "rolled-back"],
    ["holding", new Trial(plan({ steps: [step(10, { users: 1 })] })).wait(2 * minute), "rolled-back"],
    ["completed", new Trial().do("promote"), "completed"],
    ["pending", new Trial(plan({ start: "manual" })), "pending"],
    ["rolled-back", new Trial().do("rollback"), "rolled-back"],
  ])("while %s, with `onFail: rollback`", (phase, trial, wanted) => {
    expect(trial.state.phase).toBe(phase);
    const before = trial.state;
    trial.fail();
    expect(trial.state.phase).toBe(wanted);
    if (wanted === phase) expect(trial.state).toBe(before);
    else expect(trial.state).toMatchObject({ why, weight: 0 });
  });

  test("rolls back to nobody", () => {
    const trial = new Trial(plan({ steps: [step(50, { ring: "east" })] })).fail();
    expect(trial.traffic).toMatchObject({ candidateIs: "withdrawn" });
    expect(trial.wait(10 * minute).events).toEqual(["started", "rolled-back"]);
  });

  test("pauses once with `onFail: pause`: who resumes has seen it", () => {
    const trial = new Trial(plan({ onFail: "pause" })).wait(10_000).fail();
    expect(trial.state).toMatchObject({ phase: "paused", why });
    const paused = trial.state;
    expect(trial.fail().state).toBe(paused);
    trial.do("resume").fail();
    expect(trial.state.phase).toBe("progressing");
    trial.fail(result({ atMs: 8 }));
    expect(trial.events).toEqual(["started", "paused", "resumed", "paused"]);
  });

  test("says so while somebody has paused it", () => {
    const trial = new Trial(plan({ onFail: "pause" })).do("pause").fail();
    expect(trial.state).toMatchObject({ phase: "paused", why });
  });
});
