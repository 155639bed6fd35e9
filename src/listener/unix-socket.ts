import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";

/**
 * Removes a unix socket that an ended process left behind. Rejects with EADDRINUSE if a process listens on it, and with
 * ENOTSOCK if the path is something else.
 */
export async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw Object.assign(new Error(`${path} exists and is not a socket`), { code: "ENOTSOCK" });
  if (await isInUse(path))
    throw Object.assign(new Error(`${path} is in use by another process`), { code: "EADDRINUSE" });
  await unlink(path);
}

/** Only ECONNREFUSED proves that no process listens: a full queue or missing permission does not. */
function isInUse(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  return promise;
}
