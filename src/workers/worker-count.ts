import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { posix } from "node:path";
import type { StaticConfig } from "../config/compiled-config.ts";
import type { Logger } from "../observe/log.ts";

/** The number of threads that serve, for this machine and container. */
export async function workerCount({ workers }: Pick<StaticConfig, "workers">, log: Logger): Promise<number> {
  const wanted = workers === "auto" ? usableCores(readSystemFile, availableParallelism()) : workers;
  if (wanted === 1 || (await canReusePort())) return wanted;
  log.warn({ wanted }, "this system does not support SO_REUSEPORT, so only one worker runs");
  return 1;
}

function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Reads a small system file; undefined if there is none. */
export type ReadSystemFile = (path: string) => string | undefined;

/**
 * Whole cores that this process may use, at least one. Rounded down: with a limit of 2.5, a third thread is throttled.
 */
export function usableCores(readFile: ReadSystemFile, parallelism: number): number {
  return Math.max(1, Math.floor(Math.min(parallelism, cpuLimit(readFile))));
}

/**
 * The tightest CPU limit of this process's cgroups, in cores; infinite if there is none. A limit applies to everything
 * below it, so every level up to the root is read. In a container the root is often its own cgroup while /proc has the
 * host's path, so missing levels are skipped.
 */
export function cpuLimit(readFile: ReadSystemFile): number {
  const limits = (readFile("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [hierarchy, controllers = "", ...path] = line.split(":");
    const levels = levelsOf(path.join(":"));
    if (hierarchy === "0" && controllers === "") return levels.map((level) => unifiedLimit(readFile, level));
    if (!controllers.split(",").includes("cpu")) return [];
    // A cgroup v1 hierarchy is mounted under the names of all its controllers, with a link for each.
    return levels.map((level) => legacyLimit(readFile, level));
  });
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}

/** From `/a/b`: `/`, `/a`, `/a/b`. `..` leads out of the cgroup namespace, where nothing can be read. */
function levelsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return ["/", ...parts.map((_, depth) => `/${parts.slice(0, depth + 1).join("/")}`)];
}

const cgroups = "/sys/fs/cgroup";

/** cgroup v2: `cpu.max` contains the quota, or `max`, and the period. */
function unifiedLimit(readFile: ReadSystemFile, level: string): number {
  const [quota, period] = (readFile(posix.join(cgroups, level, "cpu.max")) ?? "").trim().split(/\s+/);
  return coresOf(quota, period);
}

/** cgroup v1: a quota of -1 means no limit. */
function legacyLimit(readFile: ReadSystemFile, level: string): number {
  const read = (name: string) =>
    ["cpu", "cpu,cpuacct"].map((mount) => readFile(posix.join(cgroups, mount, level, name))?.trim()).find(Boolean);
  return coresOf(read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"));
}

function coresOf(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota) / Number(period);
  return cores > 0 ? cores : Number.POSITIVE_INFINITY;
}

export interface TriedAddress {
  readonly host: string;
  readonly port: number;
}

/** Listens on the address and closes again. Rejects with the error of `listen`. */
export type TryListening = (address: TriedAddress, reusePort: boolean) => Promise<void>;

/** Whether several threads can listen on one port: not on macOS or Windows (ENOTSUP). */
export async function canReusePort(tryListening: TryListening = listenAndStop): Promise<boolean> {
  try {
    await tryListening({ host: "127.0.0.1", port: 0 }, true);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTSUP") return false;
    // The real listeners will report any other error.
    return true;
  }
}

/** Rejects if another process uses the address. With SO_REUSEPORT, as the workers listen, that would go unnoticed. */
export function probeExclusiveBind(address: TriedAddress): Promise<void> {
  return listenAndStop(address, false);
}

function listenAndStop({ host, port }: TriedAddress, reusePort: boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once("error", reject);
  server.listen({ host, port, reusePort }, () => server.close(() => resolve()));
  return promise;
}
