import { describe, expect, test } from "vitest";
import { DemoUser } from "../../../src/cli/demo/demo-user.ts";
import { RolloutTally } from "../../../src/cli/demo/rollout-tally.ts";
import type { Answer } from "../../../src/cli/demo/tally.ts";

const from = (version: Answer["version"], startedMs = 0, isRight = true): Answer => {
  return { version, isRight, startedMs, tookMs: 1 };
};

describe("what users meet while the canary is rolled out", () => {
  test("a user who meets errors counts once", () => {
    const tally = new RolloutTally();
    const user = new DemoUser(6, "run");
    for (let at = 0; at < 3; at++) tally.add(user, from("canary", at, false));
    tally.add(new DemoUser(7, "run"), from(undefined, 0, false));
    expect(tally.badUsers).toBe(2);
  });

  test("going back to stable counts, unless it was rolled back", () => {
    const tally = new RolloutTally();
    const [first, second] = [new DemoUser(6, "run"), new DemoUser(7, "run")];
    for (const user of [first, second]) tally.add(user, from("canary"));
    tally.add(first, from("stable"));
    tally.rolledBack(10);
    tally.add(second, from("stable", 11));
    expect(tally.movedBack).toBe(1);
  });

  test("only requests that were sent after the rollback count as after it", () => {
    const tally = new RolloutTally();
    tally.rolledBack(10);
    tally.add(new DemoUser(6, "run"), from("canary", 9));
    expect(tally.afterRollback).toBe(0);
    tally.add(new DemoUser(6, "run"), from("canary", 11));
    expect(tally.afterRollback).toBe(1);
  });
});
