import { openFilesLimit } from "../upstream/descriptor-reserve.ts";

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
