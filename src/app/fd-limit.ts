import { readFileSync } from "node:fs";

/** What Perch has open besides connections: files that it watches, the admin server, threads, resolvers. */
const ownFiles = 200;
/** A connection for each client, and one to an upstream for each. */
const filesEach = 2;
const minConnections = 32;

/** How many connections each listener of each worker may hold by the process's limit on open files. */
export function connectionsByFdLimit(listeners: number, limit = openFilesLimit()): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(minConnections, Math.floor((limit - ownFiles) / filesEach / listeners));
}

/** The soft limit, which Node has raised to the hard one by now; undefined where there is none, or the system does not tell. */
function openFilesLimit(): number | undefined {
  try {
    const told = /^Max open files +(\d+) /m.exec(readFileSync("/proc/self/limits", "utf8"));
    return told?.[1] === undefined ? undefined : Number(told[1]);
  } catch {
    return undefined;
  }
}
