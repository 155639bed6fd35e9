import { posix } from "node:path";

/** Reads a small file of the system; undefined where there is none. */
export type ReadSystemFile = (path: string) => string | undefined;

const cgroups = "/sys/fs/cgroup";

/** Whole cores that this process may keep busy, at least one: of an allowance of 2.5 the half would only be throttled. */
export function usableCores(readFile: ReadSystemFile, parallelism: number): number {
  return Math.max(1, Math.floor(Math.min(parallelism, cpuLimit(readFile))));
}

/**
 * The tightest CPU limit of the control groups that this process is in, in cores; infinite where there is none. A limit
 * holds for everything below it, so every level up to the root is asked. In a container the root is often its own group
 * while /proc names a path of the host, so a level that is not there is passed over.
 */
export function cpuLimit(readFile: ReadSystemFile): number {
  const limits = (readFile("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [hierarchy, controllers = "", ...path] = line.split(":");
    const levels = levelsOf(path.join(":"));
    if (hierarchy === "0" && controllers === "") return levels.map((level) => unifiedLimit(readFile, level));
    if (!controllers.split(",").includes("cpu")) return [];
    // Mounted by the names of all its controllers, with a link for each.
    return levels.map((level) => legacyLimit(readFile, level));
  });
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}

/** `/a/b` lies in `/a`, which lies in `/`. A path out of the own namespace (`/../x`) names nothing that can be read. */
function levelsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return ["/", ...parts.map((_, depth) => `/${parts.slice(0, depth + 1).join("/")}`)];
}

/** cgroup v2: `cpu.max` holds the quota, or `max`, and the period. */
function unifiedLimit(readFile: ReadSystemFile, level: string): number {
  const [quota, period] = (readFile(posix.join(cgroups, level, "cpu.max")) ?? "").trim().split(/\s+/);
  return coresOf(quota, period);
}

/** cgroup v1: a quota of -1 is none. */
function legacyLimit(readFile: ReadSystemFile, level: string): number {
  const read = (name: string) =>
    ["cpu", "cpu,cpuacct"].map((mount) => readFile(posix.join(cgroups, mount, level, name))?.trim()).find(Boolean);
  return coresOf(read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"));
}

function coresOf(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period);
  return cores > 0 ? cores : Number.POSITIVE_INFINITY;
}
