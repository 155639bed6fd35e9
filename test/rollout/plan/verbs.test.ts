import { describe, expect, test } from "vitest";
import type { Verb } from "../../../src/rollout/rollouts-api.ts";
import { gate, minute, pauseStep, plan, refusedBy, seen, step, Trial } from "./plans.ts";

const places: Readonly<Record<string, () => Trial>> = {
  pending: () => new Trial(plan({ start: "manual" })),
  "paused before the start": () => new Trial(plan({ start: "manual" })).do("pause"),
  progressing: () => new Trial().wait(10_000),
  paused: () => new Trial().wait(10_000).do("pause"),
  holding: () => new Trial(plan({ steps: [step(10, { users: 9 }), step(50)] })).wait(minute),
  "at a pause": () => new Trial(plan({ steps: [step(10), pauseStep, step(50)] })).wait(minute),
  "at the end": () => new Trial(plan({ steps: [step(10)], afterLastStep: "pause" })).wait(minute),
  completed: () => new Trial().do("promote"),
  "rolled-back": () => new Trial().do("rollback"),
};

/** What it is after, `same`: the same state object, or a part of the refusal. */
const table: readonly (readonly [place: string, verb: Verb, wanted: string])[] = [
  ["pending", "start", "progressing 1 10"],
  ["pending", "pause", "paused 0 0"],
  ["pending", "resume", "has not started: use `start`"],
  ["pending", "step", "has not started: use `start`"],
  ["pending", "promote", "completed 0 100"],
  ["pending", "rollback", "rolled-back 0 0"],
  ["paused before the start", "start", "progressing 1 10"],
  ["paused before the start", "pause", "same"],
  ["paused before the start", "resume", "progressing 1 10"],
  ["paused before the start", "step", "progressing 1 10"],
  ["progressing", "start", "same"],
  ["progressing", "pause", "paused 1 10"],
  ["progressing", "resume", "same"],
  ["progressing", "step", "progressing 2 50"],
  ["progressing", "promote", "completed 1 100"],
  ["progressing", "rollback", "rolled-back 1 0"],
  ["paused", "start", "same"],
  ["paused", "pause", "same"],
  ["paused", "resume", "progressing 1 10"],
  ["paused", "step", "progressing 2 50"],
  ["paused", "promote", "completed 1 100"],
  ["paused", "rollback", "rolled-back 1 0"],
  ["holding", "pause", "paused 1 10"],
  ["holding", "resume", "same"],
  ["holding", "step", "progressing 2 50"],
  ["holding", "rollback", "rolled-back 1 0"],
  ["at a pause", "pause", "same"],
  ["at a pause", "resume", "progressing 3 50"],
  ["at a pause", "step", "progressing 3 50"],
  ["at the end", "pause", "same"],
  ["at the end", "resume", "completed 1 100"],
  ["at the end", "step", "completed 1 100"],
  ["at the end", "promote", "completed 1 100"],
  ["completed", "start", "same"],
  ["completed", "resume", "same"],
  ["completed", "promote", "same"],
  ["completed", "pause", "`rollback` removes canary"],
  ["completed", "step", "`rollback` removes canary"],
  ["completed", "rollback", "rolled-back 1 0"],
  ["rolled-back", "rollback", "same"],
  ["rolled-back", "start", "give the rollout a new `id`"],
  ["rolled-back", "pause", "give the rollout a new `id`"],
  ["rolled-back", "resume", "give the rollout a new `id`"],
  ["rolled-back", "step", "give the rollout a new `id`"],
  ["rolled-back", "promote", "give the rollout a new `id`"],
];

describe("verbs", () => {
  test.each(table)("%s: %s → %s", (place, verb, wanted) => {
    const trial = places[place]?.();
    if (trial === undefined) throw new Error(`no place ${place}`);
    const before = trial.state;
    const answer = trial.ask(verb);
    const refusal = refusedBy(answer);
    if (refusal !== undefined) {
      expect(refusal).toContain(wanted);
      expect(refusal).toContain("rollout 2.4.0");
    } else if (wanted === "same") expect(trial.do(verb).state).toBe(before);
    else expect(trial.do(verb).at).toBe(wanted);
  });

  test("the time of a pause does not count", () => {
    const trial = new Trial()
      .wait(40_000)
      .do("pause")
      .wait(60 * minute)
      .do("resume");
    expect(trial.wait(19_000).at).toBe("progressing 1 10");
    expect(trial.wait(1_000).at).toBe("progressing 2 50");
  });

  test("nor is it a part of what a step was held that somebody ended", () => {
    const trial = new Trial().wait(40_000).do("pause").wait(30_000).do("step");
    expect(trial.state.track[0]).toMatchObject({ heldMs: 40_000, endedAtMs: 70_000 });
  });

  test("`step` waits for neither time, data nor gates", () => {
    const trial = new Trial(plan({ steps: [step(10, { users: 100 }), step(50)], checks: [gate()], start: "manual" }));
    trial.seen = seen({ mayBegin: () => false });
    trial.do("start");
    expect(trial.do("step").at).toBe("progressing 1 10");
    expect(trial.do("step").at).toBe("progressing 2 50");
    expect(trial.do("step").at).toBe("completed 2 100");
  });

  test("an operator's reason is the state's", () => {
    expect(new Trial().do("pause").state.why).toBe("a try");
  });

  test("nobody has the candidate before the start; everyone once it is completed; nobody once it is rolled back", () => {
    expect(places["pending"]?.().traffic).toBeUndefined();
    expect(places["paused before the start"]?.().traffic).toBeUndefined();
    expect(places["completed"]?.().traffic).toMatchObject({ candidateIs: "drawn", weight: 100 });
    expect(places["rolled-back"]?.().traffic).toMatchObject({ candidateIs: "withdrawn" });
    expect(places["at a pause"]?.().traffic).toMatchObject({ candidateIs: "drawn", weight: 10 });
  });
});
