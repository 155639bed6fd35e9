import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { SliceSource } from "../../src/app/kubernetes/slice-source.ts";
import { WorkerDataPlane } from "../../src/app/worker-data-plane.ts";
import { loadConfigText } from "../../src/config/load.ts";
import type { RolloutTraffic } from "../../src/decide/release-traffic.ts";
import { ticketKeyBytes } from "../../src/listener/tls.ts";
import type { DecisionBatch } from "../../src/observe/live/decision-tail.ts";
import { createLogger } from "../../src/observe/log.ts";
import { LogDestination } from "../../src/observe/log-destination.ts";
import type { RolloutReport } from "../../src/observe/rollout/rollout-report.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { exchange, shopYaml } from "../kit/one-service.ts";
import { freePorts } from "../kit/served.ts";
import { bringFault, faultyWorker } from "../workers/fault-channel.ts";

const questions = new Map([["shop", { failures: new Set([500]), slowLimitsMs: [], wantsBaselineDurations: false }]]);
const trafficOf = (candidateIs: RolloutTraffic["candidateIs"]) =>
  new Map([
    [
      "shop",
      {
        split: undefined,
        rollout: { id: "1", baseline: "stable", candidate: "canary", candidateIs, step: 0, weight: 100, rings: [] },
      },
    ],
  ]);

interface Watched {
  readonly onRolloutReport?: (report: RolloutReport) => void;
  readonly onDecisions?: (batch: DecisionBatch) => void;
  readonly logged?: string[];
}

async function workers({ onRolloutReport = () => {}, onDecisions = () => {}, logged = [] }: Watched) {
  const stable = await upstream("stable");
  const canary = await upstream("canary", (_request, response) => response.writeHead(500).end());
  const text =
    freePorts +
    shopYaml({
      stable: stable.origin,
      canary: canary.origin,
      release: "split: { stable: 100, canary: 0 }",
      more: "workers: 2",
    });
  const secrets = new Map([["shop", new Uint8Array(32)]]);
  const options = { file: "test.yaml", env: {}, randomSecret: () => new Uint8Array(32) };
  const first = loadConfigText(text, options);
  if (!first.ok) throw new Error(first.problems.map(({ message }) => message).join("\n"));
  const stats = new StatsRegistry();
  const accessLines = new LogDestination({ to: "/dev/null", dropped: stats.accessLog.dropped, onTrouble: () => {} });
  const plane = new WorkerDataPlane({
    slices: new SliceSource({ env: {}, log: createLogger({ level: "silent", nowMs: () => 0 }) }),
    size: 2,
    first,
    stats,
    accessLines,
    log: createLogger({ level: "error", nowMs: () => Date.now(), to: { write: (line) => void logged.push(line) } }),
    logLevel: "silent",
    env: {},
    file: "test.yaml",
    secrets,
    ticketKeys: randomBytes(ticketKeyBytes),
    onRolloutReport,
    onDecisions,
    entry: faultyWorker,
  });
  freeAfterTest(async () => {
    await plane.dispose();
    await accessLines.close(100);
  });
  const [bound] = await plane.listen();
  const port = typeof bound?.address === "object" ? bound.address.port : 0;
  const statuses = async (count: number) => {
    const answers = Array.from({ length: count }, () =>
      exchange(port, "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"),
    );
    return new Set((await Promise.all(answers)).map((answer) => answer.slice(9, 12)));
  };
  return { plane, statuses };
}

it("the workers report a candidate that fails, and none gives it to anyone once the withdrawal has resolved", async () => {
  const reports: RolloutReport[] = [];
  const { plane, statuses } = await workers({ onRolloutReport: (report) => reports.push(report) });
  expect(await statuses(5)).toEqual(new Set(["200"]));
  await plane.direct({ traffic: trafficOf("drawn"), questions });
  expect(await statuses(40)).toEqual(new Set(["500"]));
  const failed = () => reports.reduce((total, { drawn }) => total + drawn.candidate.failed, 0);
  await expect.poll(failed).toBe(40);
  expect(reports.flatMap(({ sightings }) => sightings).every(({ bad, odds }) => bad === 1 && odds === 1)).toBe(true);

  await plane.direct({ traffic: trafficOf("withdrawn"), questions });
  expect(await statuses(40)).toEqual(new Set(["200"]));
  bringFault("all", { kind: "throw" });
  await expect.poll(() => plane.workers.restarts, { timeout: 10_000 }).toBe(2);
  await expect.poll(() => plane.workers.serving, { timeout: 10_000 }).toBe(2);
  expect(await statuses(40)).toEqual(new Set(["200"]));

  await plane.direct({ traffic: trafficOf("drawn"), questions });
  bringFault("all", { kind: "throw" });
  await expect.poll(() => plane.workers.restarts, { timeout: 10_000 }).toBe(4);
  await expect.poll(() => plane.workers.serving, { timeout: 10_000 }).toBe(2);
  expect(await statuses(40)).toEqual(new Set(["500"]));
  await expect.poll(failed).toBe(80);
});

it("a report that cannot be judged is logged, and ends nothing", async () => {
  const logged: string[] = [];
  const { plane, statuses } = await workers({
    onRolloutReport: () => {
      throw new Error("a bug");
    },
    logged,
  });
  await plane.direct({ traffic: trafficOf("drawn"), questions });
  expect(await statuses(4)).toEqual(new Set(["500"]));
  await expect.poll(() => logged.some((line) => line.includes("a rollout could not be judged"))).toBe(true);
});

it("decisions that are watched are sampled by workers that come after others have ended, until nobody watches", async () => {
  let lines = 0;
  const { plane, statuses } = await workers({
    onDecisions: (batch) => {
      lines += batch.lines.length + batch.skipped;
    },
  });
  plane.watchDecisions(true);
  // Its answer comes after the workers have been told.
  await plane.traffic();
  await statuses(10);
  await expect.poll(() => lines).toBe(10);
  bringFault("all", { kind: "throw" });
  await expect.poll(() => plane.workers.restarts, { timeout: 10_000 }).toBe(2);
  await expect.poll(() => plane.workers.serving, { timeout: 10_000 }).toBe(2);
  await statuses(10);
  await expect.poll(() => lines).toBe(20);
  plane.watchDecisions(false);
  await plane.traffic();
  await statuses(10);
  plane.watchDecisions(true);
  await plane.traffic();
  await statuses(10);
  await expect.poll(() => lines).toBe(30);
});
