import { open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/** The calls that replacing a file takes: those of `node:fs/promises`. */
export interface FileCalls {
  open(path: string, flags: "w" | "r", mode?: number): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

interface OpenFile {
  writeFile(text: string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const nodeFileCalls: FileCalls = { open, rename, unlink };

/** The state has digests of user ids: other accounts must not read it. */
const ownerOnly = 0o600;

/**
 * Replaces a file durably: a reader, also after a crash, finds the old or the new text, complete. Rejects if the new
 * text is not durable; the old one is then still there, unless the last call failed, which makes the rename itself
 * durable. Only one call at a time for a path.
 *
 * Why each sync: Pillai et al., All file systems are not created equal (OSDI 2014).
 */
export async function replaceFile(path: string, text: string, calls: FileCalls = nodeFileCalls): Promise<void> {
  const next = `${path}.new`;
  try {
    await withFile(calls, next, "w", async (file) => {
      await file.writeFile(text);
      await file.sync();
    });
    await calls.rename(next, path);
  } catch (error) {
    // On a full disk the part that was written takes the space that the next try needs.
    await calls.unlink(next).catch(() => {});
    throw error;
  }
  await withFile(calls, dirname(path), "r", (folder) => folder.sync());
}

async function withFile(calls: FileCalls, path: string, flags: "w" | "r", use: (file: OpenFile) => Promise<void>) {
  const file = await calls.open(path, flags, ownerOnly);
  try {
    await use(file);
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
  // A network file system may report only here that it could not write.
  await file.close();
}
