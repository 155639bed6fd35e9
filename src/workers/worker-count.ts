import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { posix } from "node:path";
import type { StaticConfig } from "../config/compiled-config.ts";
import type { Logger } from "../observe/log.ts";

/** How many workers to run: as configured, or one per usable core. One where threads cannot share a port. */
export async function workerCount({ workers }: Pick<StaticConfig, "workers">, log: Logger): Promise<number> {
  const wanted = workers === "auto" ? usableCores(readSystemFile, availableParallelism()) : workers;
  if (wanted === 1 || (await canReusePort())) return wanted;
  log.warn({ wanted }, "SO_REUSEPORT is not supported on this system: running one worker");
  return 1;
}

/** Whole cores that this process can use, at least one. Rounded down: on half a core a worker would be throttled. */
export function usableCores(readFile: ReadSystemFile, parallelism: number): number {
  return Math.max(1, Math.floor(Math.min(parallelism, cpuLimit(readFile))));
}

/**
 * The lowest CPU limit of this process's control groups, in cores; infinite without one. A limit applies to all groups
 * below it, so every level up to the root is read. Levels that do not exist are skipped: in a container the root often is
 * the container's own group, while /proc names a path of the host.
 *
 * `os.availableParallelism()` alone is not enough. In libuv 1.52 (Node 24 and 26) it knows CPU affinity and cgroup v2.
 * But of several limits it takes the one nearest the root, and it finds none in cgroup v1 or where /proc names a path of
 * the host.
 */
export function cpuLimit(readFile: ReadSystemFile): number {
  const limits = (readFile("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [hierarchy, controllers = "", ...path] = line.split(":");
    const levels = levelsOf(path.join(":"));
    if (hierarchy === "0" && controllers === "") return levels.map((level) => cgroup2Limit(readFile, level));
    return controllers.split(",").includes("cpu") ? levels.map((level) => cgroup1Limit(readFile, level)) : [];
  });
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}

/** `/a/b` is in `/a`, which is in `/`. `..` leads out of the process's cgroup namespace, where nothing can be read. */
function levelsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return ["/", ...parts.map((_, depth) => `/${parts.slice(0, depth + 1).join("/")}`)];
}

const cgroups = "/sys/fs/cgroup";

/** `cpu.max` holds the quota, or `max`, and the period. */
function cgroup2Limit(readFile: ReadSystemFile, level: string): number {
  const [quota, period] = (readFile(posix.join(cgroups, level, "cpu.max")) ?? "").trim().split(/\s+/);
  return coresOf(quota, period);
}

/** The mount is named after all its controllers. Most systems link each controller's name to it, but not all. */
function cgroup1Limit(readFile: ReadSystemFile, level: string): number {
  const read = (name: string) =>
    ["cpu", "cpu,cpuacct"].map((mount) => readFile(posix.join(cgroups, mount, level, name))?.trim()).find(Boolean);
  return coresOf(read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"));
}

/** Infinite for `max` (cgroup v2), -1 (cgroup v1), and files that are missing or malformed. */
function coresOf(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period);
  return cores > 0 ? cores : Number.POSITIVE_INFINITY;
}

/** Reads a file of /proc or /sys; undefined if it does not exist. */
export type ReadSystemFile = (path: string) => string | undefined;

function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Whether several threads can listen on one port. Not on macOS and Windows (ENOTSUP). */
export async function canReusePort(tryListening: TryListening = listenAndClose): Promise<boolean> {
  try {
    await tryListening({ host: "127.0.0.1", port: 0 }, true);
    return true;
  } catch (error) {
    // The real listeners will report any other error.
    return (error as NodeJS.ErrnoException).code !== "ENOTSUP";
  }
}

/** Rejects if another process has the address. With SO_REUSEPORT, as workers use it, sharing would go unnoticed. */
export function probeExclusiveBind(address: TriedAddress): Promise<void> {
  return listenAndClose(address, false);
}

/** Listens on the address, then closes. Rejects as `listen` does. */
export type TryListening = (address: TriedAddress, reusePort: boolean) => Promise<void>;

export interface TriedAddress {
  /** Undefined: every address of the machine. */
  readonly host: string | undefined;
  readonly port: number;
}

function listenAndClose({ host, port }: TriedAddress, reusePort: boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once("error", reject);
  server.listen({ host, port, reusePort }, () => server.close(() => resolve()));
  return promise;
}
