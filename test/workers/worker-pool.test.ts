import { Worker } from "node:worker_threads";
import { describe, expect, it, vi } from "vitest";
import { createLogger } from "../../src/observe/log.ts";
import type { Directions } from "../../src/observe/rollout/rollout-taps.ts";
import { BackOff, WorkerPool } from "../../src/workers/worker-pool.ts";
import { freeAfterTest } from "../kit/freed.ts";

it("the back-off doubles with each exit, up to 30 s", () => {
  const backOff = new BackOff();
  const waits = Array.from({ length: 11 }, () => backOff.next(0));
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
});

it("the back-off starts over after a worker has served for a minute", () => {
  const backOff = new BackOff();
  expect([backOff.next(0), backOff.next(59_999), backOff.next(60_000), backOff.next(0)]).toEqual([100, 200, 100, 200]);
});

const config = { text: "", files: new Map(), database: undefined, file: "perch.yaml", secrets: new Map(), hash: "" };

const portable = {
  base: "",
  bytes: new SharedArrayBuffer(0),
  ends: new Int32Array(),
  sections: new Map(),
  valueCount: 0,
  rest: {},
};

/** What the rollouts want, told apart by the rollout's id. */
const directions = (id: string): Directions => ({
  traffic: new Map([
    [
      "shop",
      {
        split: undefined,
        rollout: { id, baseline: "stable", candidate: "canary", candidateIs: "drawn", step: 0, weight: 1, rings: [] },
      },
    ],
  ]),
  questions: new Map([
    ["shop", { failures: new Set([500]), slowLimitsMs: [Number.POSITIVE_INFINITY], wantsBaselineDurations: true }],
  ]),
});

/** Two workers that report each call that directs them. */
async function echoingPool() {
  const reports: string[] = [];
  const pool = new WorkerPool({
    size: 2,
    spawn: () => new Worker(new URL("./echoing-worker.ts", import.meta.url)),
    first: { config, env: {}, logLevel: "silent", ticketKeys: new Uint8Array(), workers: 2 },
    listener: {
      access: () => {},
      log: () => {},
      rollout: ({ release, id }) => reports.push(`${release} ${id}`),
      decisions: () => {},
    },
    log: createLogger({ level: "silent", nowMs: () => 0 }),
    monotonicMs: () => performance.now(),
  });
  freeAfterTest(() => pool.stop());
  expect(await pool.start()).toMatchObject({ kind: "serving" });
  return { pool, reports, heard: () => reports.splice(0) };
}

describe("the workers' rollouts", () => {
  it("are directed in each worker before the promise resolves, in order, and their reports come back", async () => {
    const { pool, heard } = await echoingPool();
    expect(heard()).toEqual(["start none", "start none"]);
    const [first, second] = [pool.direct(directions("one")), pool.direct(directions("two"))];
    await Promise.all([first, second]);
    expect(heard().toSorted()).toEqual(["direct one", "direct one", "direct two", "direct two"]);
  });

  it("change together with the configuration, and not before", async () => {
    const { pool, heard } = await echoingPool();
    heard();
    const preparation = await pool.prepare(config, { portable, hash: "", database: undefined });
    expect(heard()).toEqual([]);
    if (preparation.kind === "failed") throw new Error(preparation.why);
    const committed = preparation.commit(directions("new"));
    const directed = pool.direct(directions("newer"));
    await Promise.all([committed, directed]);
    const all = heard();
    expect(all.toSorted()).toEqual(["commit new", "commit new", "direct newer", "direct newer"]);
    expect(all.indexOf("commit new")).toBe(0);
  });

  it("do not wait for ever for a worker that does not answer", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    freeAfterTest(async () => void vi.useRealTimers());
    const { pool } = await echoingPool();
    const directed = pool.direct(directions("silence"));
    vi.advanceTimersByTime(10_000);
    await directed;
  });

  it("go on in a worker that replaces another as they are then", async () => {
    const { pool, reports, heard } = await echoingPool();
    await pool.direct(directions("old"));
    heard();
    // Ends both workers, so the promise cannot wait for them.
    await pool.direct(directions("exit"));
    const directed = pool.direct(directions("now"));
    await directed;
    await expect.poll(() => reports.filter((report) => report === "start now").length).toBe(2);
  });
});

describe("the workers' traffic", () => {
  const hitsOf = async (pool: WorkerPool) => (await pool.traffic()).get("shop")?.ruleHits.get("qa");

  it("is their sum, and does not fall when one exits", async () => {
    const { pool, reports } = await echoingPool();
    expect(await hitsOf(pool)).toBe(2);
    await pool.direct(directions("exit"));
    await pool.direct(directions("now"));
    await expect.poll(() => reports.filter((report) => report === "start now").length).toBe(2);
    await expect.poll(() => hitsOf(pool)).toBe(4);
  });

  it("is as it was before where a worker is slow, after 300 ms", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    freeAfterTest(async () => void vi.useRealTimers());
    const { pool } = await echoingPool();
    expect(await hitsOf(pool)).toBe(2);
    void pool.direct(directions("silence"));
    const hits = hitsOf(pool);
    vi.advanceTimersByTime(300);
    expect(await hits).toBe(2);
  });
});
