import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/security.md", root), "utf8");
const rows = page
  .slice(page.indexOf("## Threats"), page.indexOf("## What is yours"))
  .split("\n")
  .filter((line) => line.startsWith("| ") && !/^\| (?:threat|queue) /.test(line));

it.each(rows)("names existing tests: %s", (row) => {
  const paths = [...(row.split("|").at(-2) ?? "").matchAll(/`([^`]+)`/g)].map(([, path]) => path ?? "");
  expect(paths.length).toBeGreaterThan(0);
  expect(paths.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

it("links to existing pages", () => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => path ?? "");
  expect(links.filter((path) => !existsSync(new URL(`docs/${path}`, root)))).toEqual([]);
});
