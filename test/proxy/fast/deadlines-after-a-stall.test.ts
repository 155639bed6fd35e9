import { expect, test } from "vitest";
import { Deadline, Deadlines } from "../../../src/proxy/fast/timer-wheel.ts";

test("a deadline armed in a turn that began late (a stall, a throttled container) still has all its time", () => {
  let nowMs = 0;
  let fired = 0;
  const deadlines = new Deadlines(() => nowMs);
  const deadline = new Deadline({ onDeadline: () => fired++ });
  // The process stood still for three seconds; what it reads first comes before the timer's turn.
  nowMs += 3_000;
  deadlines.arm(deadline, 1_000);
  deadlines.advance();
  expect(fired).toBe(0);
  nowMs += 900;
  deadlines.advance();
  expect(fired).toBe(0);
});
