import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { loadConfigFile } from "../../src/config/load.ts";
import { jsonSchema } from "../../src/config/schema.ts";
import { formatDiagnostic } from "../../src/config/schema-kit/diagnostics.ts";
import { pages } from "./page.ts";
import { completed, configBlocks, isOthers, pageEnvironment, writeConfig } from "./yaml-blocks.ts";

const folder = mkdtempSync(join(tmpdir(), "perch-pages-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function problemsOf(block: string): readonly string[] {
  const file = writeConfig(folder, "perch.yaml", completed(block));
  const options = { env: pageEnvironment, randomSecret: () => new Uint8Array(32), nowMs: () => Date.UTC(2026, 5, 1) };
  const result = loadConfigFile(file, options);
  return result.ok ? [] : result.problems.map(formatDiagnostic);
}

const configurations = pages.flatMap((page) =>
  configBlocks(page).map((block, index) => [`${page.path}, block ${index + 1}`, block] as const),
);

describe("the YAML in pages", () => {
  test.each(configurations)("%s: is a configuration that Perch takes", (_place, block) => {
    expect(problemsOf(block)).toEqual([]);
  });

  test("what is for other programs is YAML", () => {
    const others = pages
      .flatMap(({ blocks }) => blocks)
      .filter((block) => block.language === "yaml" && isOthers(block));
    const errors = others.flatMap(({ text }) => parseAllDocuments(text).flatMap((document) => document.errors));
    expect(errors).toEqual([]);
  });

  test("nothing that looks like a configuration stands in a block of another kind", () => {
    const keys = Object.keys(jsonSchema()["properties"] ?? {}).join("|");
    const looksLikeOne = new RegExp(`^(?:${keys}):`, "m");
    const others = pages
      .flatMap(({ blocks }) => blocks)
      .filter(({ language, text }) => {
        // What a command prints is compared with what it prints.
        return language !== "yaml" && !/^\$ /m.test(text);
      });
    expect(others.filter(({ text }) => looksLikeOne.test(text))).toEqual([]);
  });

  test("there are some", () => {
    expect(configurations.length).toBeGreaterThan(20);
  });
});
