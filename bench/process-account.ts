import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** The kernel's accounting of a process and its descendants, with all threads. */
export interface ProcessAccount {
  /** User and system time since its start, in milliseconds. */
  readonly cpuMs: number;
  /** The maximum resident memory since its start, in bytes. */
  readonly peakResidentBytes: number;
  readonly residentBytes: number;
}

let ticksPerSecond: number | undefined;

/**
 * Reads a process's account from `/proc`, in the same way for every proxy. Descendants are added: memory that they
 * share counts for each. CPU time comes in clock ticks (10 ms on Linux), so windows of seconds are needed to make the
 * error small. Undefined where there is no `/proc` or the process is gone. Source: proc_pid_stat(5),
 * proc_pid_status(5).
 */
export function readProcessAccount(pid: number): ProcessAccount | undefined {
  try {
    const accounts = [pid, ...descendantsOf(pid)].map(readOne);
    const sum = (pick: (account: ProcessAccount) => number) => accounts.reduce((total, one) => total + pick(one), 0);
    return {
      cpuMs: sum(({ cpuMs }) => cpuMs),
      peakResidentBytes: sum(({ peakResidentBytes }) => peakResidentBytes),
      residentBytes: sum(({ residentBytes }) => residentBytes),
    };
  } catch {
    return undefined;
  }
}

function readOne(pid: number): ProcessAccount {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const bytes = (key: string) => Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  return {
    cpuMs: cpuMs(readFileSync(`/proc/${pid}/stat`, "latin1")),
    peakResidentBytes: bytes("VmHWM"),
    residentBytes: bytes("VmRSS"),
  };
}

/** Processes that end during the read are left out. */
function descendantsOf(ancestor: number): readonly number[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? parentOf(name) : undefined;
    if (parent === undefined) continue;
    const siblings = childrenOf.get(parent);
    if (siblings === undefined) childrenOf.set(parent, [Number(name)]);
    else siblings.push(Number(name));
  }
  const below = (pid: number): number[] => (childrenOf.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(ancestor);
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(fieldsFromState(readFileSync(`/proc/${pid}/stat`, "latin1"))[1]);
  } catch {
    return undefined;
  }
}

/** The command's name is in parentheses and may have spaces, so fields are counted from the last parenthesis. */
function fieldsFromState(stat: string): readonly string[] {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function cpuMs(stat: string): number {
  const fields = fieldsFromState(stat);
  const ticks = Number(fields[11]) + Number(fields[12]);
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return (ticks * 1000) / ticksPerSecond;
}
