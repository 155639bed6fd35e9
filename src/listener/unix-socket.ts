import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";

/**
 * Clears the way for a unix socket: one that was left behind by a process that is no more is removed. Rejects with
 * EADDRINUSE where it is served, and with ENOTSOCK where something else stands there.
 */
export async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw Object.assign(new Error(`${path} is no socket`), { code: "ENOTSOCK" });
  if (await isServed(path)) throw Object.assign(new Error(`${path} is served`), { code: "EADDRINUSE" });
  await unlink(path);
}

/** Only a refusal says that nobody listens: a full queue or a lack of permission does not. */
function isServed(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  return promise;
}
