import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Directories with secrets and configurations, or tens of MiB; all are removed when this process ends. */
const directories = new Set<string>();
process.once("exit", () => directories.forEach(removeScratchDirectory));

/** A new directory below the system's temporary one, for this user alone. */
export function makeScratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "perch-bench-"));
  directories.add(directory);
  return directory;
}

export function removeScratchDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}
