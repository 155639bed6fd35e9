import { expect, it } from "vitest";
import type { CheckSpec, RolloutSpec } from "../../src/decide/rollout-spec.ts";
import { ReleaseJudge } from "../../src/rollout/release-judge.ts";
import type { CheckResult } from "../../src/rollout/rollout-state.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { noAnswers, SimulatedPlane } from "../kit/simulated-plane.ts";
import { MovedClock } from "./moved-clock.ts";

const errors: CheckSpec = { kind: "compare", name: "errors", metric: "errors", over: undefined };
const everyMs = 1_000;

/** A judge that compares errors and asks a Prometheus whose value the test sets. */
async function judging() {
  const prometheus = { value: "1" };
  const { origin } = await upstream("asked", (_request, response) => {
    response.end(JSON.stringify({ status: "success", data: { resultType: "scalar", result: [1, prometheus.value] } }));
  });
  const limits = { atLeast: 0.9, atMost: undefined };
  const orders: CheckSpec = {
    kind: "prometheus",
    name: "orders",
    url: origin,
    query: "a",
    ...limits,
    everyMs,
    failures: 1,
  };
  const spec: RolloutSpec = {
    ...{ id: "2.4.0", baseline: "stable", candidate: "canary", start: "auto", command: "run" },
    steps: [{ kind: "pause" }],
    ...{ afterLastStep: "complete", checks: [errors, orders], failures: new Set([500]), falseAlarm: 0.01 },
    ...{ onFail: "pause", drift: "off", notify: [], candidateEndpoints: [] },
    caps: { users: undefined, failures: undefined, requestsPerSecond: undefined },
  };
  const clock = new MovedClock(1_000);
  let changes = 0;
  const judge = new ReleaseJudge("shop", spec, undefined, {
    nowMs: clock.nowMs,
    schedule: clock.schedule,
    changed: () => void changes++,
  });
  freeAfterTest(async () => judge.close());
  /** What Prometheus says next. */
  const said = async (value: string) => {
    prometheus.value = value;
    const before = changes;
    clock.advance(everyMs);
    await expect.poll(() => changes, { timeout: 10_000, interval: 2 }).toBeGreaterThan(before);
  };
  await expect.poll(() => changes, { timeout: 10_000, interval: 2 }).toBe(1);
  const look = (): CheckResult["name"] | undefined => judge.look(clock.nowMs())?.name;
  return { judge, clock, said, look };
}

it("a failure of a check that asks others is told after one of counts, which stays failed", async () => {
  const { judge, clock, said, look } = await judging();
  const plane = new SimulatedPlane();
  for (let user = 0; user < 30; user++) plane.answer({ user, side: "candidate", odds: 0.1, bad: 1 });
  expect(judge.report({ ...plane.report(), placed: noAnswers }, clock.nowMs())?.name).toBe("errors");
  expect(look()).toBe("errors");
  await said("0.5");
  expect(look()).toBe("orders");
  await said("1");
  expect(look()).toBe("errors");
});

it("what others said before the rollout began fails nobody", async () => {
  const { judge, said, look } = await judging();
  await said("0");
  expect(look()).toBe("orders");
  judge.beginStep(0);
  expect(look()).toBeUndefined();
  await said("0");
  expect(look()).toBe("orders");
  judge.beginStep(1);
  expect(look()).toBe("orders");
});
