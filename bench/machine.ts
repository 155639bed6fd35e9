import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** The machine of the figures, which are meaningless without it. */
export interface Machine {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** The load average of the minute before the run: near 0 on an idle machine. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    cpuModel: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

export function machineLine(machine: Machine): string {
  return `${machine.cpuModel}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, Node ${machine.node}, load before ${machine.loadBefore}`;
}

const idleLoadAtMost = 0.5;

/** Undefined on an idle machine. */
export function busyWarning({ loadBefore }: Machine): string | undefined {
  if (loadBefore <= idleLoadAtMost) return undefined;
  return `The machine was busy before the run already (load ${loadBefore}): these figures show that it works, no more.`;
}

/**
 * The CPUs that this process may run on, in ascending order. A container is often confined to some that do not start
 * at zero, and pinning to one outside the set fails. Empty where the system does not report them.
 */
export function allowedCpus(): readonly number[] {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return [];
  }
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "";
  return list.split(",").flatMap(expandRange);
}

/** A CPU list of the kernel: `0-3` or `5`. */
function expandRange(text: string): number[] {
  const [low, high] = text.split("-").map(Number);
  if (low === undefined || !Number.isInteger(low)) return [];
  return Array.from({ length: (high ?? low) - low + 1 }, (_, offset) => low + offset);
}

/** The limit of open files, connections included, of a process started from here. */
export function openFilesLimit(): number {
  try {
    const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "";
    return hard === "unlimited" ? 1_048_576 : Number(hard);
  } catch {
    return 1_024;
  }
}
