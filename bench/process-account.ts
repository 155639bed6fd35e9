import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What the kernel has on record for a process, all its threads included. */
export interface ProcessAccount {
  /** User and system time since its start, in milliseconds. */
  readonly cpuMs: number;
  /** The most memory that was ever resident since its start, in bytes. */
  readonly peakResidentBytes: number;
}

let ticksPerSecond: number | undefined;

/**
 * Reads a process's account from `/proc`, which treats every proxy alike: none is asked to measure itself. CPU time comes
 * in clock ticks (10 ms on Linux), so windows of seconds are needed to make the error small. Undefined where there is
 * no `/proc` or the process is gone. Source: proc_pid_stat(5), proc_pid_status(5).
 */
export function readProcessAccount(pid: number): ProcessAccount | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const peakKiB = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    if (peakKiB === undefined) return undefined;
    return { cpuMs: cpuMs(stat), peakResidentBytes: Number(peakKiB) * 1024 };
  } catch {
    return undefined;
  }
}

/** The command's name stands in parentheses and may itself hold spaces, so fields are counted from the last one. */
function cpuMs(stat: string): number {
  const fieldsFromState = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fieldsFromState[11]) + Number(fieldsFromState[12]);
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return (ticks * 1000) / ticksPerSecond;
}
