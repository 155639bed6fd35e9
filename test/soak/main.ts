/**
 * Mixed traffic for a long time: `npm run soak`. Resident memory, file descriptors and sockets of Perch must not grow
 * after the warm-up. Options: --minutes N (default 15, at least 1), --lane fast|standard. Its timers are the period of
 * samples, reloads and faults.
 *
 * Exits with 1 where something grows by more than its limit, a response was wrong, or Perch ended.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Misbehaviour } from "../chaos/chaos-upstream.ts";
import { Crowd } from "../chaos/crowd.ts";
import { type Lane, Stage } from "../chaos/stage.ts";
import { Tally } from "../chaos/tally.ts";
import { slopeOf } from "./slope.ts";

const users = 24;
const sampleMs = 5_000;
const reloadMs = 10_000;
/** Compilation and pools that grow at first are no leak. */
const warmUpShare = 1 / 3;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "15" }, lane: { type: "string", default: "fast" } },
});
const minutes = Math.max(1, Number(values.minutes));

/** A sample of the process. */
interface Sample {
  readonly atMinutes: number;
  readonly residentKiB: number;
  readonly descriptors: number;
  readonly sockets: number;
}

/** Limits of growth per minute. A leak of one object per request grows by megabytes; noise stays below this. */
const bounds = {
  residentKiB: Math.max(256, 4_096 / minutes),
  descriptors: 2,
  sockets: 2,
} as const;

const stage = await Stage.set(values.lane as Lane);
const tally = new Tally();
const crowd = new Crowd({ users, perch: () => stage.perch }, tally);
const startedMs = performance.now();
const samples: Sample[] = [];
const reloads = setInterval(() => stage.reload("good"), reloadMs);
const troubles = setInterval(misbehave, 1_000);
try {
  while (performance.now() - startedMs < minutes * 60_000 && stage.perch?.lives) {
    await new Promise((resolve) => setTimeout(resolve, sampleMs));
    const sample = look();
    samples.push(sample);
    console.error(
      `${sample.atMinutes.toFixed(1)} min: ${(sample.residentKiB / 1024).toFixed(0)} MiB, ${sample.descriptors} descriptors, ${sample.sockets} sockets, ${tally.requests} requests`,
    );
  }
} finally {
  clearInterval(reloads);
  clearInterval(troubles);
  await crowd.leave();
  report();
  await stage.leave();
}

/** Some leaks occur only after failures, so upstreams fail now and then. */
function misbehave(): void {
  const kinds: Misbehaviour["kind"][] = ["none", "reset in the head", "reset in the body", "garbage", "slow drip"];
  const kind = kinds[Math.floor((performance.now() - startedMs) / 1_000) % kinds.length] ?? "none";
  stage.misbehave({ kind, share: kind === "slow drip" ? 0.2 : 0.02 });
}

function look(): Sample {
  const pid = stage.perch?.pid ?? 0;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const descriptors = readdirSync(`/proc/${pid}/fd`);
  return {
    atMinutes: (performance.now() - startedMs) / 60_000,
    residentKiB: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]),
    descriptors: descriptors.length,
    sockets: descriptors.filter((descriptor) => targetOf(pid, descriptor).startsWith("socket:")).length,
  };
}

/** Empty where it has been closed since it was listed. */
function targetOf(pid: number, descriptor: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
  } catch {
    return "";
  }
}

function report(): void {
  const warm = samples.filter(({ atMinutes }) => atMinutes >= minutes * warmUpShare);
  let ok = tally.wrongCount === 0 && stage.perch?.lives === true;
  console.log(
    `${minutes} minutes, ${tally.requests} requests, ${tally.failureCount} failed, ${tally.wrongCount} wrong`,
  );
  for (const figure of ["residentKiB", "descriptors", "sockets"] as const) {
    const slope = slopeOf(warm.map((sample) => ({ x: sample.atMinutes, y: sample[figure] })));
    const bound = bounds[figure];
    ok &&= slope <= bound;
    const range = warm.map((sample) => sample[figure]);
    console.log(
      `${figure.padEnd(12)} ${Math.min(...range)} to ${Math.max(...range)}, grows by ${slope.toFixed(2)} a minute, at most ${bound.toFixed(2)}: ${slope <= bound ? "ok" : "TOO MUCH"}`,
    );
  }
  if (stage.perch?.lives !== true) console.log("Perch ended");
  if (!ok) process.exitCode = 1;
}
