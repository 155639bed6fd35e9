import { expect, test } from "vitest";
import { holdProgress, waitsFor } from "../../src/dashboard/pages/release/step-progress.ts";
import { rollout, step } from "./rollout-fixture.ts";

test.each([
  ["done", step("1 %", { state: "done", heldMs: 1 }), 1],
  ["half of its hold", step("1 %", { state: "current", holdMs: 600, heldMs: 300 }), 0.5],
  ["longer than its hold", step("1 %", { state: "current", holdMs: 600, heldMs: 900 }), 1],
  ["a pause", step("pause", { state: "current", weight: null, holdMs: 0 }), 0],
  ["to come, though it was held before", step("1 %", { state: "next", heldMs: 300 }), 0],
])("progress of a step: %s", (_is, of, progress) => {
  expect(holdProgress(of)).toBe(progress);
});

test("a step says what it waits for when time alone does not end it", () => {
  expect(waitsFor({ ...rollout, phase: "holding", why: "12 of 500 users" })).toBe("12 of 500 users");
  expect(waitsFor({ ...rollout, phase: "paused", why: "lunch" })).toBe("lunch");
  expect(waitsFor({ ...rollout, why: "step 3 begins" })).toBeUndefined();
});
