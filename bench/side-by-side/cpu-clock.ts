import { readFileSync } from "node:fs";

/** The times of a CPU since the machine started, in clock ticks. */
export interface CpuClock {
  readonly busyTicks: number;
  readonly allTicks: number;
}

/** Undefined where the system does not report it. Source: proc_stat(5). */
export function readCpuClock(cpu: number | undefined): CpuClock | undefined {
  if (cpu === undefined) return undefined;
  const line = new RegExp(`^cpu${cpu} (.*)$`, "m").exec(readFileSync("/proc/stat", "latin1"))?.[1];
  if (line === undefined) return undefined;
  // user, nice, system, idle, iowait, irq, softirq, steal; time of guests is part of the first two.
  const ticks = line.split(" ").slice(0, 8).map(Number);
  const allTicks = ticks.reduce((sum, count) => sum + count, 0);
  return { allTicks, busyTicks: allTicks - (ticks[3] ?? 0) - (ticks[4] ?? 0) };
}

/** The share of the time between two samples. */
export function busyShare(start: CpuClock | undefined, end: CpuClock | undefined): number | undefined {
  if (start === undefined || end === undefined || end.allTicks === start.allTicks) return undefined;
  return (end.busyTicks - start.busyTicks) / (end.allTicks - start.allTicks);
}
