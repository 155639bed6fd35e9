import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** The kernel's accounting of a process and its descendants, with all threads. */
export interface ProcessAccount {
  /** User and system time since its start, in milliseconds. */
  readonly cpuMs: number;
  /** The same of each thread that still runs, by its id. */
  readonly threadCpuMs: ReadonlyMap<string, number>;
  /** The maximum resident memory since its start, in bytes. */
  readonly peakResidentBytes: number;
  readonly residentBytes: number;
}

let ticksPerSecond: number | undefined;

/**
 * Reads a process's account from `/proc`, in the same way for every proxy. Descendants are added: memory that they
 * share counts for each. CPU time is what the scheduler gave to each thread, in nanoseconds; a thread that has ended is
 * forgotten, so differences mean something where none ends. A kernel that does not tell has clock ticks (10 ms).
 * Undefined where there is no `/proc` or the process is gone. Source: proc_pid_stat(5), proc_pid_status(5), the
 * kernel's sched-stats.
 */
export function readProcessAccount(pid: number): ProcessAccount | undefined {
  try {
    const accounts = [pid, ...descendantsOf(pid)].map(readOne);
    const sum = (pick: (account: ProcessAccount) => number) => accounts.reduce((total, one) => total + pick(one), 0);
    return {
      cpuMs: sum(({ cpuMs }) => cpuMs),
      threadCpuMs: new Map(accounts.flatMap(({ threadCpuMs }) => [...threadCpuMs])),
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
  const threadCpuMs = new Map(
    readdirSync(`/proc/${pid}/task`).map((thread) => [thread, threadTimeMs(`/proc/${pid}/task/${thread}`)]),
  );
  return {
    cpuMs: [...threadCpuMs.values()].reduce((sum, ms) => sum + ms, 0),
    threadCpuMs,
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

function threadTimeMs(directory: string): number {
  try {
    return Number(readFileSync(`${directory}/schedstat`, "latin1").split(" ")[0]) / 1e6;
  } catch {
    const fields = fieldsFromState(readFileSync(`${directory}/stat`, "latin1"));
    ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
  }
}
