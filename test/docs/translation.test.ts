import { expect, test } from "vitest";
import { all, type Page, readPage } from "./page.ts";

const english = readPage("README.md");
const chinese = readPage("README.zh-CN.md");

/** Headings differ in their words, so a link to one differs too. */
const linksOf = (page: Page) =>
  all(page.tokens, "link")
    .map(({ href }) => href)
    .filter((href) => !href.startsWith("#"));

const figuresOf = (page: Page) => page.tokens.flatMap(({ raw }) => raw.match(/\d[\d.,]*\d/g) ?? []).sort();

test("the Chinese README has the blocks of the English one, byte for byte", () => {
  expect(chinese.blocks).toEqual(english.blocks);
});

test("it has as many sections, and tables of the same size", () => {
  const sizesOf = ({ tokens }: Page) => all(tokens, "table").map(({ header, rows }) => [header.length, rows.length]);
  expect(all(chinese.tokens, "heading").map(({ depth }) => depth)).toEqual(
    all(english.tokens, "heading").map(({ depth }) => depth),
  );
  expect(sizesOf(chinese)).toEqual(sizesOf(english));
});

test("it names the same keys, codes, metrics and commands, and links to the same pages", () => {
  const codesOf = ({ tokens }: Page) => [...new Set(all(tokens, "codespan").map(({ text }) => text))].sort();
  expect(codesOf(chinese)).toEqual(codesOf(english));
  expect([...new Set(linksOf(chinese))].sort()).toEqual([...new Set(linksOf(english))].sort());
});

test("it has the same pictures, in the same order", () => {
  const picturesOf = ({ tokens }: Page) => all(tokens, "image").map(({ href }) => href);
  expect(picturesOf(chinese)).toEqual(picturesOf(english));
});

test("it quotes the same figures", () => {
  expect(figuresOf(chinese)).toEqual(figuresOf(english));
});
