import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { knownDifferences } from "./known-differences.ts";

it("every known difference of the lanes has its row in the docs, and every row has a case", () => {
  const page = readFileSync(new URL("../../docs/canonical-form.md", import.meta.url), "utf8");
  const [, section = ""] = page.split("## Where the lanes differ");
  const rows = [...section.matchAll(/^\| (.*?) \|/gm)].map(([, cell]) => cell).filter((cell) => cell !== "case");
  expect([...new Set(knownDifferences.values())].sort()).toEqual(rows.sort());
});
