import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { all, checkout, type Page, pages, readPage } from "./page.ts";

/** As GitHub makes them: letters and digits in lower case, `-` for a blank, a number behind what came before. */
function anchorsOf(page: Page): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const { text } of all(page.tokens, "heading")) {
    const plain = text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = plain.replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let copy = 1; anchors.has(unique); copy++) unique = `${anchor}-${copy}`;
    anchors.add(unique);
  }
  return anchors;
}

/** A workflow's runs and its badge, where GitHub has them beside the files of a repository. */
const ofWorkflow = /^\.\.\/\.\.\/actions\/workflows\/([\w-]+\.yml)(?:\/badge\.svg)?$/;

/** Undefined where the link leads somewhere. */
function whyDead(page: Page, href: string): string | undefined {
  const [, workflow] = ofWorkflow.exec(href) ?? [];
  if (workflow !== undefined) {
    return existsSync(join(checkout, ".github/workflows", workflow)) ? undefined : `${href}: no such workflow`;
  }
  const [file = "", anchor] = href.split("#");
  const target = file === "" ? page.path : normalize(join(dirname(page.path), decodeURI(file)));
  if (target.startsWith("..") || !existsSync(join(checkout, target))) return `${href}: no such file`;
  if (anchor === undefined) return undefined;
  if (!target.endsWith(".md")) return `${href}: only pages have anchors`;
  return anchorsOf(readPage(target)).has(decodeURIComponent(anchor)) ? undefined : `${href}: no such heading`;
}

const isElsewhere = (href: string) => /^[a-z]+:/.test(href);

describe("links between pages, and their pictures", () => {
  test.each(pages.map((page) => [page.path, page] as const))("%s: each leads somewhere", (_path, page) => {
    const links = [...all(page.tokens, "link"), ...all(page.tokens, "image")].map(({ href }) => href);
    expect(links.filter((href) => !isElsewhere(href)).flatMap((href) => whyDead(page, href) ?? [])).toEqual([]);
  });

  test("the README names every page in docs", () => {
    const readme = readPage("README.md");
    const named = new Set(all(readme.tokens, "link").map(({ href }) => href.split("#")[0]));
    const unnamed = pages.map(({ path }) => path).filter((path) => path.startsWith("docs/") && !named.has(path));
    expect(unnamed).toEqual([]);
  });
});
