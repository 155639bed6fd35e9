import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { StaticConfig } from "./config/compiled-config.ts";
import type { Logger } from "./observe/log.ts";
import { usableCores } from "./workers/cpu-limit.ts";
import { canReusePort } from "./workers/reuse-port.ts";

/** How many threads are to serve, on this machine and in this container. */
export async function workerCount({ workers }: Pick<StaticConfig, "workers">, log: Logger): Promise<number> {
  const wanted = workers === "auto" ? usableCores(readSystemFile, availableParallelism()) : workers;
  if (wanted === 1 || (await canReusePort())) return wanted;
  log.warn({ wanted }, "several workers can not share a port on this system (SO_REUSEPORT): one serves");
  return 1;
}

function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
