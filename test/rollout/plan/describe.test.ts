import { describe, expect, test } from "vitest";
import { planner } from "../../../src/rollout/plan/planner.ts";
import { inWords } from "../../../src/rollout/plan/steps.ts";
import { gate, margin, minute, movedBy, pauseStep, plan, reload, result, seen, step, Trial } from "./plans.ts";

const steps = [
  step(1, { holdMs: 5 * minute }),
  step(50, { ring: "region=cn-east", users: 500 }),
  step(10, { holdMs: 5 * minute }),
  pauseStep,
  step(50),
];

function at(position: number, parts: Parameters<typeof plan>[0] = {}): Trial {
  const trial = new Trial(plan({ steps, ...parts }));
  for (let done = 0; done < position; done++) trial.do("step");
  return trial;
}

describe("the sentence", () => {
  test.each<[string, Trial, string]>([
    [
      "progressing",
      at(2).wait(minute),
      "Step 3 of 5: 10 % for 4 more minutes; no check fails. Then step 4 (pause), unless you `pause` or `rollback`.",
    ],
    [
      "the last step",
      at(0, { steps: [step(100)] }),
      "Step 1 of 1: 100 % for 1 more minute; no check fails. Then everyone (100 %), unless you `pause` or `rollback`.",
    ],
    [
      "the last step before a pause",
      at(0, { steps: [step(50)], afterLastStep: "pause", checks: [margin] }),
      "Step 1 of 1: 50 % for 1 more minute; no check fails, check no-worse still needs data. " +
        "Then a pause (`then: pause`), unless you `pause` or `rollback`.",
    ],
    [
      "holding",
      at(1).wait(minute),
      "Step 2 of 5: 50 % of ring region=cn-east, and it waits: 0 of at least 500 users of the candidate have been " +
        "seen. It continues automatically with step 3 (10 %); `step` skips the wait, `rollback` removes canary.",
    ],
    [
      "paused by the plan",
      at(3),
      "Paused at step 4 of 5 (pause): the plan pauses here. `resume` continues with step 5 (50 %); `rollback` " +
        "removes canary.",
    ],
    [
      "paused by somebody",
      at(0).do("pause"),
      "Paused at step 1 of 5 (1 %): a try. `resume` continues with 1 %, `step` with step 2 (50 % of ring " +
        "region=cn-east); `rollback` removes canary.",
    ],
    [
      "paused at the end",
      at(0, { steps: [step(50)], afterLastStep: "pause" }).wait(minute),
      "Paused after step 1 of 1 (50 %): the last step is over, and the plan pauses after it (`then: pause`). " +
        "`resume` continues with everyone (100 %); `rollback` removes canary.",
    ],
    [
      "manual",
      at(0, { start: "manual" }),
      "Not begun: the plan waits for its start (`start: manual`). `perch rollout start shop` begins with step 1 of 5 " +
        "(1 %).",
    ],
    [
      "held back by the file",
      at(0, { command: "pause" }),
      "Not begun: the configuration says `command: pause`. `command: run` in the configuration, or `perch rollout " +
        "start shop`, begins with step 1 of 5 (1 %).",
    ],
    [
      "held back by a gate",
      at(0, { checks: [gate(1)] }),
      "Not begun: step 1 (1 %) waits for gate smoke. It begins with step 1 of 5 (1 %) automatically once nothing " +
        "blocks it; `pause` prevents that.",
    ],
    [
      "started, held back by a gate",
      at(0, { checks: [gate(1)], start: "manual" }).do("start"),
      "Started, but step 1 (1 %) waits for gate smoke. It begins automatically once the gates are open; `step` does not " +
        "wait for them.",
    ],
    [
      "rolled back",
      at(2).fail(),
      "Rolled back at step 3 of 5 (10 %): 37 of the 50 users who met an error were on canary. Nobody gets canary; to " +
        "try again, give the rollout a new `id`.",
    ],
    [
      "completed",
      at(0).do("promote"),
      "Completed: everyone gets canary. When you remove the rollout from the configuration, set the split to canary " +
        "in the same change, or users go back to where the split sends them. `rollback` still removes it.",
    ],
  ])("%s", (_, trial, sentence) => {
    expect(trial.sentence).toBe(sentence);
  });

  test("names the weight in force where an edit of the plan names a lower one", () => {
    const trial = at(2, { steps: [step(10), step(20), step(80), step(90)] });
    trial.reload({ steps: [step(10), step(20)] });
    expect(trial.sentence).toContain("Paused at step 2 of 2 (80 %, planned as 20 %): the plan was cut");
    expect(trial.sentence).toContain("`resume` continues with 80 %, planned as 20 %, `step` with everyone");
    expect(trial.do("resume").sentence).toContain("Step 2 of 2: 80 %, planned as 20 % for 1 more minute;");
  });

  test("of one that was taken out says how it goes on", () => {
    const trial = at(1);
    trial.take(movedBy(reload(undefined, [trial.state])));
    expect(trial.sentence).toBe(
      "Aborted: the rollout was removed from the configuration. The split applies. Restored with the id 2.4.0, it " +
        "continues as paused.",
    );
  });

  test("names the checks that fail", () => {
    const trial = at(0, { onFail: "pause" }).fail();
    trial.seen = seen({ checks: [result(), result({ name: "slow" })] });
    expect(trial.sentence).toContain("removes canary. Checks errors, slow fail.");
    expect(trial.do("resume").sentence).toContain("1 % for 5 more minutes; checks errors, slow fail. Then");
  });

  test("counts the time since the last look", () => {
    const { spec, state } = at(0);
    expect(planner.sentence(spec, state, [], 30_000)).toContain("1 % for 5 more minutes");
    expect(planner.sentence(spec, { ...state, heldMs: 4 * minute }, [], 30_000)).toContain("for 30 more seconds");
  });
});

describe("the steps", () => {
  test("have their titles, places and times", () => {
    const trial = at(1).wait(10_000);
    const found = planner.steps(trial.spec, trial.state);
    expect(found.map(({ title, state }) => `${title}: ${state}`)).toEqual([
      "1 %: done",
      "50 % of ring region=cn-east: current",
      "10 %: next",
      "pause: next",
      "50 %: next",
    ]);
    expect(found[1]).toMatchObject({ weight: 50, holdMs: minute, heldMs: 10_000, atLeastUsers: 500 });
    expect(found[3]).toMatchObject({ weight: null, holdMs: 0 });
  });

  test("keep how long each was held", () => {
    const trial = at(0).wait(6 * minute);
    expect(planner.steps(trial.spec, trial.state).map(({ heldMs }) => heldMs)).toEqual([5 * minute, minute, 0, 0, 0]);
  });
});

test.each([
  [0, "0 seconds"],
  [1, "1 second"],
  [59_000, "59 seconds"],
  [59_001, "1 minute"],
  [minute, "1 minute"],
  [4 * minute - 1, "4 minutes"],
  [65 * minute, "1 hour 5 minutes"],
  [24 * 60 * minute, "1 day"],
  [(24 * 60 + 61) * minute, "1 day 1 hour"],
])("%d ms in words: %s", (ms, words) => {
  expect(inWords(ms)).toBe(words);
});
