import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { ExitCode } from "../../src/cli/command.ts";
import { runCommand } from "../../src/cli/run.ts";

export interface CapturedRun {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line in this process. */
export async function perch(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<CapturedRun> {
  let out = "";
  let err = "";
  const code = await runCommand(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env,
    isInteractive: false,
  });
  return { code, out, err };
}

/** A writer of files in a temporary folder, which is removed after the tests of the file. */
export function temporaryFolder(): (name: string, text: string) => string {
  const folder = mkdtempSync(join(tmpdir(), "perch-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (name, text) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
}
