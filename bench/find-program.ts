import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Servers are often outside of an ordinary PATH. */
const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];

export interface FoundProgram {
  readonly file: string;
  /** The first line of its version output. */
  readonly version: string;
}

/** Undefined where it is not installed. Versions are printed on standard output or standard error. */
export function findProgram(name: string, versionArgument: string): FoundProgram | undefined {
  const file = directories.map((directory) => join(directory, name)).find(isExecutable);
  if (file === undefined) return undefined;
  const { stdout, stderr } = spawnSync(file, [versionArgument], { encoding: "utf8" });
  const [version = "unknown"] = `${stdout}${stderr}`.trim().split("\n");
  return { file, version: version.trim() };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
