import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const checkout = fileURLToPath(new URL("../", import.meta.url));
const biome = join(checkout, "node_modules/.bin/biome");

/** Each breaks one rule of the layers, in files of its own. */
const breaches: readonly {
  readonly sentence: string;
  readonly files: Record<string, string>;
  readonly rule: string;
}[] = [
  {
    sentence: "two files that import one another's types",
    files: {
      "src/decide/a.ts": 'import type { B } from "./b.ts";\nexport type A = B | 1;\n',
      "src/decide/b.ts": 'import type { A } from "./a.ts";\nexport type B = A | 2;\n',
    },
    rule: "noImportCycles",
  },
  {
    sentence: "decide reading a file",
    files: { "src/decide/io.ts": 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;\n' },
    rule: "noRestrictedImports",
  },
  {
    sentence: "one stage using another",
    files: { "src/route/asks.ts": 'import type { Cell } from "../observe/counters.ts";\nexport type Asked = Cell;\n' },
    rule: "noRestrictedImports",
  },
  {
    sentence: "the API's client knowing the configuration",
    files: {
      "src/kubernetes/knows.ts": 'import type { Config } from "../config/schema.ts";\nexport type Known = Config;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "the client of Redis knowing requests",
    files: {
      "src/redis/knows.ts": 'import type { Exchange } from "../proxy/exchange.ts";\nexport type Known = Exchange;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "the chain knowing a lane",
    files: {
      "src/proxy/knows.ts": 'import type { Forward } from "./fast/forward.ts";\nexport type Known = Forward;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "the standard lane knowing the fast one",
    files: {
      "src/proxy/standard/knows.ts":
        'import type { Forward } from "../fast/forward.ts";\nexport type Known = Forward;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "a section that reads the whole configuration",
    files: { "src/config/sections/all.ts": 'import type { Config } from "../schema.ts";\nexport type All = Config;\n' },
    rule: "noRestrictedImports",
  },
  {
    sentence: "a plan that asks what runs",
    files: {
      "src/plan/asks.ts":
        'import type { Rollouts } from "../rollout/rollouts-api.ts";\nexport type Asked = Rollouts;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "admin knowing a lane",
    files: {
      "src/admin/knows.ts": 'import type { Forward } from "../proxy/fast/forward.ts";\nexport type Known = Forward;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "the dashboard knowing the configuration",
    files: {
      "src/dashboard/knows.ts": 'import type { Config } from "../config/schema.ts";\nexport type Known = Config;\n',
    },
    rule: "noRestrictedImports",
  },
  {
    sentence: "app standing on cli",
    files: { "src/app/knows.ts": 'import { run } from "../cli/run.ts";\nexport const known = run;\n' },
    rule: "noRestrictedImports",
  },
];

describe("the lint of layers fails on", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "perch-layers-"));
    for (const file of ["biome.json", "biome.layers.json"]) await copyFile(join(checkout, file), join(folder, file));
    await write({ "src/decide/clean.ts": "export const clean = 1;\n" });
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function write(files: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  }

  /** What the linter says of these files, and whether it fails. */
  function lint(paths: readonly string[]): Promise<{ readonly failed: boolean; readonly said: string }> {
    return new Promise((resolve) => {
      execFile(biome, ["lint", "--vcs-enabled=false", ...paths], { cwd: folder }, (error, out, err) =>
        resolve({ failed: error !== null, said: out + err }),
      );
    });
  }

  it.each(breaches)("$sentence", async ({ files, rule }) => {
    await write(files);
    const { failed, said } = await lint(Object.keys(files));
    expect(said).toContain(rule);
    expect(failed).toBe(true);
  });

  it("nothing where there is no breach", async () => {
    const { failed, said } = await lint(["src/decide/clean.ts"]);
    expect({ failed, said: said.includes("lint/") }).toEqual({ failed: false, said: false });
  });
});
