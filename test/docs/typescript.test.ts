import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkout, pages } from "./page.ts";

const folder = mkdtempSync(join(tmpdir(), "perch-typescript-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What pages speak of and leave to their readers. */
const readers = `
declare const request: import("node:http").IncomingMessage;
declare function newWay(): unknown;
declare function oldWay(): unknown;
`;

const compilerOptions = {
  // A page shows what it is about, and uses none of it.
  noUnusedLocals: false,
  typeRoots: [`${checkout}node_modules/@types`],
  paths: {
    "perch-proxy": [`${checkout}src/index.ts`],
    "perch-proxy/*": [`${checkout}src/adapters/*.ts`],
    "*": [`${checkout}node_modules/*`, `${checkout}node_modules/@types/*`],
  },
};

test("the TypeScript in pages is what the library and its adapters take", { tags: ["slow"] }, () => {
  const blocks = pages.flatMap(({ path, blocks }) => blocks.map(({ language, text }) => ({ path, language, text })));
  const programs = blocks.filter(({ language }) => language === "ts");
  expect(programs.length).toBeGreaterThan(1);
  for (const [index, { path, text }] of programs.entries()) {
    writeFileSync(join(folder, `${path.replaceAll("/", "-")}-${index}.mts`), text);
  }
  writeFileSync(join(folder, "readers.d.ts"), readers);
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: `${checkout}tsconfig.json`, compilerOptions, include: ["*"] }),
  );
  const { stdout, status } = spawnSync(process.execPath, [`${checkout}node_modules/typescript/bin/tsc`, "-p", folder]);
  expect({ status, stdout: String(stdout) }).toEqual({ status: 0, stdout: "" });
});
