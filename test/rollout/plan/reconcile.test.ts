import { describe, expect, test } from "vitest";
import type { RolloutSpec } from "../../../src/decide/rollout-spec.ts";
import { planner } from "../../../src/rollout/plan/planner.ts";
import type { RolloutState } from "../../../src/rollout/rollout-state.ts";
import {
  gate,
  minute,
  movedBy,
  pauseStep,
  plan,
  refusedBy,
  reload,
  result,
  seen,
  step,
  Trial,
  types,
} from "./plans.ts";

const [ten, fifty, hundred] = [step(10), step(50), step(100)];
const atStep2 = () => new Trial().wait(minute + 20_000);

describe("a new id", () => {
  test.each<[string, Partial<RolloutSpec>, string, string[]]>([
    ["begins at once", {}, "progressing 1 10", ["started"]],
    ["waits with `start: manual`", { start: "manual" }, "pending 0 0", []],
    ["waits for the gate of its first step", { checks: [gate(1)] }, "pending 0 0", []],
    ["does not wait for a later gate", { checks: [gate(2)] }, "progressing 1 10", ["started"]],
    ["waits with `command: pause`", { command: "pause" }, "pending 0 0", []],
    ["is withdrawn with `command: rollback`", { command: "rollback" }, "rolled-back 0 0", ["rolled-back"]],
  ])("%s", (_, parts, at, events) => {
    const trial = new Trial(plan(parts));
    expect(trial.at).toBe(at);
    expect(trial.events).toEqual(events);
  });

  test("with `command: pause` waits for another command, or for somebody who starts it", () => {
    expect(new Trial(plan({ command: "pause" })).wait(minute).at).toBe("pending 0 0");
    expect(new Trial(plan({ command: "pause", start: "manual" })).reload({ command: "run" }).at).toBe(
      "progressing 1 10",
    );
    expect(new Trial(plan({ command: "pause" })).do("start").at).toBe("progressing 1 10");
  });

  test("aborts the old one and says which", () => {
    const { state: old } = atStep2();
    const move = movedBy(reload(plan({ id: "2.5.0", candidate: "green" }), [old], 100_000));
    expect(move.state).toMatchObject({ id: "2.5.0", step: 0, weight: 10, startedAtMs: 100_000 });
    expect(types(move)).toEqual(["aborted", "started"]);
    expect(move.events[0]).toMatchObject({
      by: "configuration",
      why: "rollout 2.4.0, whose candidate was canary, ended at step 2: rollout 2.5.0 takes its place",
    });
  });

  test.each([
    ["rolled back", () => new Trial().do("rollback")],
    ["not begun", () => new Trial(plan({ start: "manual" }))],
  ])("after one that is %s aborts nothing", (_, old) => {
    expect(types(movedBy(reload(plan({ id: "2.5.0" }), [old().state])))).toEqual(["started"]);
  });

  test("after one that is completed says that everyone begins at the baseline again", () => {
    const move = movedBy(reload(plan({ id: "2.5.0" }), [new Trial().do("promote").state]));
    expect(types(move)).toEqual(["plan-edited", "started"]);
    expect(move.events[0]?.why).toBe(
      "rollout 2.5.0 takes the place of the completed rollout 2.4.0: it begins with everyone on stable, not on canary",
    );
  });

  test("a completed one that is taken out, and put back, says so, once each", () => {
    const { state } = new Trial().do("promote");
    const out = movedBy(reload(undefined, [state]));
    expect(types(out)).toEqual(["plan-edited"]);
    expect(reload(undefined, [out.state])).toEqual({ kind: "none" });
    const back = movedBy(reload(plan(), [out.state]));
    expect([types(back), back.state]).toEqual([["plan-edited"], state]);
  });

  test("and then the old one again: it is over", () => {
    const { state: old } = atStep2();
    const { state: current } = movedBy(reload(plan({ id: "2.5.0" }), [old], 100_000));
    const back = movedBy(reload(plan(), [current, old], 110_000));
    expect(back.state).toMatchObject({ id: "2.4.0", phase: "aborted" });
    expect(types(back)).toEqual(["aborted", "aborted"]);
    expect(planner.trafficOf(back.state)).toBeUndefined();
    // The one in between is over for good as well.
    const again = movedBy(reload(plan({ id: "2.5.0" }), [back.state, current], 120_000));
    expect(again.state).toMatchObject({ id: "2.5.0", phase: "aborted" });
  });

  test("and then a completed old one again: it still gives everyone its candidate", () => {
    const { state: old } = new Trial().do("promote");
    const { state: current } = movedBy(reload(plan({ id: "2.5.0" }), [old], 100_000));
    const back = movedBy(reload(plan(), [current, old], 110_000));
    expect(planner.trafficOf(back.state)).toMatchObject({ candidateIs: "drawn", weight: 100 });
    expect(types(back)).toEqual(["aborted"]);
    expect(back.state).not.toBe(old);
  });
});

describe("the same id and plan", () => {
  test.each(["progressing", "paused", "completed", "rolled-back"])("while %s changes nothing", (phase) => {
    const trial = atStep2();
    if (phase === "paused") trial.do("pause");
    if (phase === "completed") trial.do("promote");
    if (phase === "rolled-back") trial.do("rollback");
    const move = movedBy(reload(trial.spec, [trial.state], trial.nowMs));
    expect(move.state).toBe(trial.state);
    expect(move.events).toEqual([]);
  });

  test("goes on from a state that was read from a file", () => {
    const trial = atStep2().do("pause").do("resume");
    trial.state = JSON.parse(JSON.stringify(trial.state)) as RolloutState;
    expect(trial.reload({}).wait(40_000).at).toBe("progressing 3 100");
  });

  test("the time without a process does not count", () => {
    const trial = atStep2();
    trial.nowMs += 24 * 60 * minute;
    expect(trial.reload({}).wait(38_000).at).toBe("progressing 2 50");
    expect(trial.wait(3_000).at).toBe("progressing 3 100");
  });
});

describe("an edited plan, at step 2 of 3 after 20 seconds", () => {
  const running = "progressing 2 50";
  const paused = "paused 2 50";

  test.each<[string, RolloutSpec["steps"], string, string]>([
    ["a later step changed", [ten, fifty, step(80)], running, "steps after the current one were edited"],
    ["later steps added", [ten, fifty, pauseStep, step(80), hundred], running, "steps after the current one"],
    ["later steps removed", [ten, fifty], running, "steps after the current one"],
    ["its hold longer", [ten, step(50, { holdMs: 5 * minute }), hundred], running, "the current step was edited"],
    ["its data", [ten, step(50, { users: 9 }), hundred], running, "the current step was edited"],
    ["its weight", [ten, step(60), hundred], paused, "step 2 was 50 %, and is 60 % now"],
    ["its ring", [ten, step(50, { ring: "east" }), hundred], paused, "is 50 % of ring east now"],
    ["it became a pause", [ten, pauseStep, hundred], paused, "step 2 was 50 %, and is pause now"],
    ["an earlier weight", [step(20), fifty, hundred], paused, "behind the current step: step 1 was 10 %"],
    ["an earlier hold", [step(10, { holdMs: 1 }), fifty, hundred], paused, "behind the current step"],
    ["a step put before it", [step(5), ten, fifty, hundred], paused, "the current step was edited"],
    ["cut before it", [ten], "paused 1 50", "the plan was cut to 1 steps while step 2 ran"],
  ])("%s", (_, steps, at, why) => {
    const trial = atStep2();
    const spec = plan({ steps });
    const move = movedBy(reload(spec, [trial.state], trial.nowMs));
    trial.reload({ steps });
    expect(trial.at).toBe(at);
    expect(move.events[0]).toMatchObject({ type: "plan-edited", by: "configuration" });
    expect(move.events[0]?.why).toContain(why);
    expect(types(move).slice(1)).toEqual(at === running ? [] : ["paused"]);
    if (at !== running) expect(trial.state.why).toContain(why);
    // Seen once, it is the plan.
    const edited = trial.state;
    expect(trial.reload({}).state).toBe(edited);
  });

  test("a longer hold of the current step counts what is over", () => {
    const trial = atStep2().reload({ steps: [ten, step(50, { holdMs: 2 * minute }), hundred] });
    expect(trial.wait(99_000).at).toBe("progressing 2 50");
    expect(trial.wait(1_000).at).toBe("progressing 3 100");
  });

  test("a shorter hold of the current step ends it at the next look", () => {
    const trial = atStep2().reload({ steps: [ten, step(50, { holdMs: 10_000 }), hundred] });
    expect(trial.wait(1_000).at).toBe("progressing 3 100");
  });

  test("another weight of the current step is reached by `resume`, and its time begins anew", () => {
    const trial = atStep2().reload({ steps: [ten, step(60), hundred] });
    expect(trial.do("resume").at).toBe("progressing 2 60");
    expect(trial.wait(59_000).at).toBe("progressing 2 60");
    expect(trial.wait(1_000).at).toBe("progressing 3 100");
  });

  test("a lower weight of the current step takes nobody away", () => {
    const trial = atStep2().reload({ steps: [ten, step(20), hundred] });
    expect(trial.do("resume").at).toBe("progressing 2 50");
  });

  test("an edit behind the current step keeps its time", () => {
    const trial = atStep2()
      .reload({ steps: [step(20), fifty, hundred] })
      .do("resume");
    expect(trial.wait(40_000).at).toBe("progressing 3 100");
  });

  test("a cut plan goes on with its last step for the whole of its time", () => {
    const trial = atStep2()
      .reload({ steps: [ten] })
      .do("resume");
    expect(trial.wait(59_000).at).toBe("progressing 1 50");
    expect(trial.wait(1_000).at).toBe("completed 1 100");
  });

  test("steps that are added after the end are gone on with", () => {
    const trial = new Trial(plan({ steps: [ten], afterLastStep: "pause" })).wait(2 * minute);
    expect(trial.at).toBe("paused 1 10");
    expect(trial.reload({ steps: [ten, fifty] }).do("resume").at).toBe("progressing 2 50");
  });

  test("before it began, nothing is to be said", () => {
    const trial = new Trial(plan({ start: "manual" })).reload({ steps: [fifty] });
    expect(trial.events).toEqual([]);
    expect(trial.do("start").at).toBe("progressing 1 50");
  });

  test("`start: auto` instead of `manual` begins it", () => {
    expect(new Trial(plan({ start: "manual" })).reload({ start: "auto" }).at).toBe("progressing 1 10");
  });
});

describe("`command`", () => {
  test("is obeyed when it changes, and only then", () => {
    const trial = atStep2().reload({ command: "pause" });
    expect(trial.at).toBe("paused 2 50");
    expect(trial.do("resume").reload({}).at).toBe("progressing 2 50");
    expect(trial.reload({ command: "run" }).at).toBe("progressing 2 50");
    expect(trial.do("pause").reload({ command: "pause" }).reload({ command: "run" }).at).toBe("progressing 2 50");
    expect(trial.reload({ command: "rollback" }).at).toBe("rolled-back 2 0");
    expect(trial.reload({ command: "run" }).at).toBe("rolled-back 2 0");
    expect(trial.state.command).toBe("run");
  });

  test("rolls a completed rollout back, and does not pause it", () => {
    const trial = new Trial().do("promote").reload({ command: "pause" });
    expect(trial.at).toBe("completed 1 100");
    expect(trial.reload({ command: "rollback" }).at).toBe("rolled-back 1 0");
  });

  test("`run` does not undo the pause of an edit behind the current step; `rollback` holds", () => {
    const steps = [step(20), fifty, hundred];
    const trial = atStep2().reload({ command: "pause" }).reload({ command: "run", steps });
    expect(trial.at).toBe("paused 2 50");
    expect(atStep2().reload({ command: "rollback", steps }).at).toBe("rolled-back 2 0");
  });

  test("`run` is obeyed with an edit of later steps", () => {
    const trial = atStep2()
      .reload({ command: "pause" })
      .reload({ command: "run", steps: [ten, fifty] });
    expect(trial.at).toBe("progressing 2 50");
  });

  test("rolls back a completed one that another came after", () => {
    const { state: old } = new Trial().do("promote");
    const { state: current } = movedBy(reload(plan({ id: "2.5.0" }), [old]));
    const move = movedBy(reload(plan({ command: "rollback" }), [current, old]));
    expect(move.state.phase).toBe("rolled-back");
  });

  test("goes on after a pause of the plan", () => {
    const trial = new Trial(plan({ steps: [ten, pauseStep, fifty], command: "run" })).wait(minute);
    expect(trial.reload({ command: "pause" }).at).toBe("paused 2 10");
    expect(trial.reload({ command: "run" }).at).toBe("progressing 3 50");
  });
});

describe("a rollout that is taken out", () => {
  const outOf = (trial: Trial) => trial.take(movedBy(reload(undefined, [trial.state], trial.nowMs)));

  test("is aborted, and the split holds", () => {
    const trial = outOf(atStep2());
    expect(trial.state).toMatchObject({ phase: "aborted", takenOut: true });
    expect(trial.traffic).toBeUndefined();
    expect(trial.events.at(-1)).toBe("aborted");
    expect(reload(undefined, [trial.state])).toEqual({ kind: "none" });
  });

  test("and put back goes on at its step, paused", () => {
    const trial = outOf(atStep2());
    trial.nowMs += 60 * minute;
    expect(trial.reload({}).at).toBe("paused 2 50");
    expect(trial.state).not.toHaveProperty("takenOut");
    expect(trial.do("resume").wait(39_000).at).toBe("progressing 2 50");
    expect(trial.wait(1_000).at).toBe("progressing 3 100");
  });

  test("and put back with `command: run` instead of `pause` still pauses, with `rollback` is withdrawn", () => {
    const paused = () => outOf(atStep2().reload({ command: "pause" }));
    expect(paused().reload({ command: "run" }).at).toBe("paused 2 50");
    expect(paused().reload({ command: "rollback" }).at).toBe("rolled-back 2 0");
  });

  test("and put back with another plan says what does not fit", () => {
    const trial = outOf(atStep2()).reload({ steps: [step(20), fifty, hundred] });
    expect(trial.state).toMatchObject({ phase: "paused" });
    expect(trial.state.why).toContain("behind the current step");
  });

  test("and put back after another one does not go on", () => {
    const { state: old } = outOf(atStep2());
    const { state: current } = movedBy(reload(plan({ id: "2.5.0" }), [old], 100_000));
    const { state } = movedBy(reload(plan(), [current, old], 110_000));
    expect(state.phase).toBe("aborted");
    expect(state).not.toHaveProperty("takenOut");
  });

  test.each<[string, readonly RolloutState[]]>([
    ["none is known", []],
    ["it has not begun", [new Trial(plan({ start: "manual" })).state]],
    ["it is rolled back", [new Trial().do("rollback").state]],
  ])("changes nothing where %s", (_, known) => {
    expect(reload(undefined, known)).toEqual({ kind: "none" });
  });
});

describe("another candidate under a known id", () => {
  test.each<[string, () => Trial]>([
    ["running", atStep2],
    ["not begun", () => new Trial(plan({ start: "manual" }))],
    ["rolled back", () => atStep2().do("rollback")],
  ])("is refused while it is %s", (_, trial) => {
    const refusal = refusedBy(reload(plan({ candidate: "green" }), [trial().state]));
    expect(refusal).toBe(
      "rollout 2.4.0 is one from stable to canary, and the configuration makes it one from stable to green: " +
        "give the rollout a new `id`",
    );
  });

  test("all endpoints of the candidate replaced is refused with what to do", () => {
    const refusal = refusedBy(reload(plan({ candidateEndpoints: ["shop http://10.0.0.9:80"] }), [atStep2().state]));
    expect(refusal).toContain("10.0.0.9");
    expect(refusal).toContain("give the rollout a new `id`");
  });

  test("and so it is where the rollout was taken out meanwhile", () => {
    const { state } = movedBy(reload(undefined, [atStep2().state]));
    expect(refusedBy(reload(plan({ candidateEndpoints: ["shop http://10.0.0.9:80"] }), [state]))).toContain("new `id`");
  });

  test("and where it is completed, since everyone would get them", () => {
    const { state } = new Trial().do("promote");
    expect(refusedBy(reload(plan({ candidateEndpoints: ["shop http://10.0.0.9:80"] }), [state]))).toContain("new `id`");
    const few = new Trial().do("promote").reload({ candidateEndpoints: ["shop http://10.0.0.2:80", "shop http://b"] });
    expect(few.reload({ candidateEndpoints: ["shop http://b"] }).state.candidateEndpoints).toEqual(["shop http://b"]);
  });

  test("some endpoints replaced is fine, and remembered", () => {
    const trial = atStep2().reload({ candidateEndpoints: ["shop http://10.0.0.3:80", "shop http://10.0.0.4:80"] });
    expect(trial.at).toBe("progressing 2 50");
    const after = trial.reload({ candidateEndpoints: ["shop http://10.0.0.4:80"] });
    expect(after.state.candidateEndpoints).toEqual(["shop http://10.0.0.4:80"]);
    expect(after.events).toEqual(["started", "step"]);
  });

  test.each<[string, () => Trial]>([
    ["has not begun", () => new Trial(plan({ start: "manual" }))],
    ["is rolled back", () => new Trial().do("rollback")],
  ])("endpoints are free where it %s", (_, trial) => {
    expect(refusedBy(reload(plan({ candidateEndpoints: ["shop http://10.0.0.9:80"] }), [trial().state]))).toBe(
      undefined,
    );
  });

  test("a reached ring that is gone is refused with what to do", () => {
    const trial = new Trial(plan({ steps: [step(50, { ring: "east" }), ten] })).wait(minute);
    expect(refusedBy(reload(plan({ steps: [step(50, { ring: "west" }), ten] }), [trial.state]))).toBe(
      "rollout 2.4.0 has reached ring east (50 %), and no step has it any more: its users would go back to stable. " +
        "Put its step back with the same `when`, or give the rollout a new `id`",
    );
  });
});

describe("what the controller is shown", () => {
  test("the state holds the failures that paused it only once a check", () => {
    const trial = new Trial(plan({ onFail: "pause" }));
    for (let atMs = 1; atMs < 10; atMs++) trial.fail(result({ atMs })).do("resume");
    expect(trial.state.pausedFor).toEqual([{ check: "errors", atMs: 9 }]);
  });

  test("a gate that was added before the next step is asked", () => {
    const trial = atStep2().reload({ checks: [gate(3)] });
    trial.seen = seen({ mayBegin: () => false });
    expect(trial.wait(10 * minute).at).toBe("holding 2 50");
  });
});
