/** The programs under test, as files that Node can run: of this checkout, or of another one. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Programs {
  readonly description: string;
  readonly gateway: string;
  peer(name: string): string;
}

const ownRoot = fileURLToPath(new URL("../", import.meta.url));

/**
 * A checkout's own files, for which Node keeps its type stripper in memory: tens of MiB that an installed server does
 * not have.
 */
export function sourcePrograms(root: string = ownRoot): Programs {
  return programsIn(root, "ts", "programs as unbuilt TypeScript");
}

/**
 * Compiled as by `npm run build`, into a directory that is removed with this process. Type errors do not stop it;
 * another command finds them.
 */
export function buildPrograms(root: string = ownRoot): Programs {
  const directory = mkdtempSync(join(tmpdir(), "perch-bench-build-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  copyFileSync(join(root, "package.json"), join(directory, "package.json"));
  const compiler = join(ownRoot, "node_modules", "typescript", "bin", "tsc");
  spawnSync(process.execPath, [compiler, "-p", join(root, "bench"), "--outDir", directory], { stdio: "ignore" });
  const programs = programsIn(directory, "js", "programs compiled");
  if (!existsSync(programs.gateway))
    throw new Error(`the programs in ${root} could not be built; "npm run build" prints the errors`);
  return programs;
}

function programsIn(directory: string, extension: string, description: string): Programs {
  return {
    description,
    gateway: join(directory, "src", "cli", `main.${extension}`),
    peer: (name) => join(directory, "bench", "peers", `${name}.${extension}`),
  };
}
