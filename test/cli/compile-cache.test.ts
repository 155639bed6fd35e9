import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { perchProcess, temporaryFolder } from "../kit/served.ts";

async function version(env: Readonly<Record<string, string>>): Promise<string> {
  const perch = perchProcess(["--version"], env);
  expect(await perch.exited).toBe(0);
  expect(perch.stderr).toBe("");
  return perch.stdout;
}

describe("compiled code", () => {
  it("is kept in the user's own folder", async () => {
    const home = await temporaryFolder();
    await version({ HOME: home });
    expect(await readdir(join(home, ".cache", "perch"))).toHaveLength(1);
  });

  it("is kept where NODE_COMPILE_CACHE says, and then not in the user's folder", async () => {
    const [home, elsewhere] = [await temporaryFolder(), await temporaryFolder()];
    await version({ HOME: home, NODE_COMPILE_CACHE: elsewhere });
    expect(await readdir(elsewhere)).toHaveLength(1);
    expect(await readdir(home)).toEqual([]);
  });

  it("is not kept where nothing can be written, and nothing is said", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    expect(await version({ HOME: file })).toMatch(/^perch /);
  });
});
