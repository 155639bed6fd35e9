import { readFileSync } from "node:fs";

/** Descriptors that are not connections: watched files, the admin server, threads, resolvers. */
const reservedFiles = 200;
/** One client connection and one upstream connection. */
const filesPerConnection = 2;
const minConnections = 32;

/** The maximum number of connections per listener and worker that the limit on open files allows. */
export function connectionsByFdLimit(listeners: number, limit = openFilesLimit()): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(minConnections, Math.floor((limit - reservedFiles) / filesPerConnection / listeners));
}

/** The soft limit, which Node has raised to the hard one at startup; undefined if there is none or it is unknown. */
function openFilesLimit(): number | undefined {
  try {
    const found = /^Max open files +(\d+) /m.exec(readFileSync("/proc/self/limits", "utf8"));
    return found?.[1] === undefined ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
