import { unwatchFile, watchFile } from "node:fs";
// In your application: from "perch-proxy".
import type { Engine } from "../../../src/index.ts";

export interface KeepCurrentOptions {
  /** How often the file's modification time is looked at. Default: 1000. */
  readonly pollMs?: number;
  /** Default: writes to stderr. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Reloads when the file changes, and on SIGHUP. Polling also notices a file that is replaced, as in a ConfigMap. Changes
 * of the files that it names, such as the secret, need a SIGHUP. An invalid file changes nothing: the engine goes on with
 * what it has, and the error tells why. Returns a function that ends it.
 */
export function keepCurrent(
  engine: Engine,
  file: string,
  { pollMs = 1_000, onError = console.error }: KeepCurrentOptions = {},
): () => void {
  const reload = () => {
    try {
      engine.reload();
    } catch (error) {
      onError(error);
    }
  };
  watchFile(file, { interval: pollMs }, reload);
  process.on("SIGHUP", reload);
  return () => {
    unwatchFile(file, reload);
    process.off("SIGHUP", reload);
  };
}
