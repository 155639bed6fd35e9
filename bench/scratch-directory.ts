import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Some hold secrets and configurations, some tens of MiB; none is left behind, however this process ends. */
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
