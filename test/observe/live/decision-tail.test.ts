import { describe, expect, it } from "vitest";
import { AccessLog } from "../../../src/observe/access-log.ts";
import { type DecisionBatch, DecisionTail } from "../../../src/observe/live/decision-tail.ts";
import { Observer } from "../../../src/observe/observer.ts";
import { RequestStats } from "../../../src/observe/request-stats.ts";
import { fineOutcome } from "../outcome.ts";

/** A tail whose timers fire when the test says so. */
function tailed() {
  const batches: DecisionBatch[] = [];
  const pending = new Set<() => void>();
  let nowMs = 0;
  const tail = new DecisionTail({
    handOver: (batch) => void batches.push(batch),
    nowMs: () => nowMs++,
    schedule: (_ms, callback) => {
      const call = () => callback();
      pending.add(call);
      return () => void pending.delete(call);
    },
  });
  const destination = { write: () => {}, flush: async () => {}, close: async () => {} };
  const observer = new Observer(new AccessLog({ destination, sample: 0, nowMs: () => 0 }), tail);
  return {
    tail,
    batches,
    pending,
    ended: (changes: Partial<typeof fineOutcome> = {}) =>
      observer.observe({ ...fineOutcome, ...changes }, new RequestStats()),
    fire() {
      const due = [...pending];
      pending.clear();
      for (const call of due) call();
    },
  };
}

describe("sampled decisions", () => {
  it("are none while nobody watches, and no timer runs", () => {
    const { tail, batches, pending, ended, fire } = tailed();
    ended();
    fire();
    tail.watch(true);
    ended();
    tail.watch(false);
    ended();
    fire();
    expect([batches, pending.size]).toEqual([[], 0]);
  });

  it("tell the route, the decision and the answer, and nothing of the client", () => {
    const { tail, batches, ended, fire } = tailed();
    tail.watch(true);
    ended({ method: "BREW", assignedVersion: "canary", fallback: true, ruleName: "qa", reason: "rule", unit: "u-1" });
    fire();
    expect(batches).toEqual([
      {
        lines: [
          {
            atMs: 0,
            route: "shop-api",
            method: "other",
            release: "shop",
            version: "stable",
            assigned: "canary",
            reason: "rule",
            rule: "qa",
            status: 200,
            error: null,
            durationMs: 12.35,
          },
        ],
        skipped: 0,
      },
    ]);
  });

  it("have places for failures beside those for good answers, and count what was left out", () => {
    const { tail, batches, ended, fire } = tailed();
    tail.watch(true);
    for (let request = 0; request < 50; request++) ended();
    ended({ status: 502, error: "connect-failed" });
    fire();
    const [batch] = batches;
    expect(batch?.lines.map(({ status }) => status)).toEqual([...Array(10).fill(200), 502]);
    expect(batch?.skipped).toBe(40);
  });

  it("come while there are any, each once", () => {
    const { tail, batches, ended, fire } = tailed();
    tail.watch(true);
    tail.watch(true);
    ended();
    fire();
    fire();
    ended();
    fire();
    expect(batches.map(({ lines }) => lines.length)).toEqual([1, 1]);
  });
});
