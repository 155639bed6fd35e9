import { describe, expect, test } from "vitest";
import { replaceEnvironment } from "../../../src/config/schema-kit/yaml-tree.ts";

const environment = { HOST: "shop", EMPTY: "", _X1: "x", NESTED: "$" + "{HOST}" };

/** A sentence, the text (`@` for `$`), what it becomes, and which variables are not set. */
const environmentCases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["a text without a variable stays", "plain @ text {HOST}", "plain @ text {HOST}", []],
  ["a variable", "http://@{HOST}:80", "http://shop:80", []],
  ["several variables", "@{HOST}-@{_X1}-@{HOST}", "shop-x-shop", []],
  ["a default for one that is not set", "@{NOPE:-a b}", "a b", []],
  ["a default for one that is empty, as in a shell", "@{EMPTY:-full}", "full", []],
  ["an empty default", "[@{NOPE:-}]", "[]", []],
  ["a default with colons and dashes", "@{NOPE:-:-x:-}", ":-x:-", []],
  ["an empty value without a default", "[@{EMPTY}]", "[]", []],
  ["variables that are not set", "@{NOPE}@{NEITHER}", "", ["NOPE", "NEITHER"]],
  ["an escape", "@@{HOST}", "@{HOST}", []],
  ["an escape of something that is no variable", "@@{host}", "@{host}", []],
  ["an escape, then a variable", "@@{@{HOST}", "@{shop", []],
  ["three dollar signs: one stays, the others escape", "@@@{HOST}", "@@{HOST}", []],
  ["a name in lower case is none", "@{host}", "@{host}", []],
  ["a regular expression's repetition is none", "^a@{2}", "^a@{2}", []],
  ["a name without its brace", "@{HOST", "@{HOST", []],
  ["a default without its brace", "@{HOST:-x", "@{HOST:-x", []],
  ["other operators of a shell are none", "@{HOST-x}", "@{HOST-x}", []],
  ["a value is not replaced again", "@{NESTED}", "@{HOST}", []],
  ["what a plain object inherits is not set", "@{__PROTO__}", "", ["__PROTO__"]],
];

describe("environment variables", () => {
  test.each(environmentCases)("%s", (_sentence, text, wanted, unset) => {
    const dollars = (marked: string): string => marked.replaceAll("@", "$");
    const found = replaceEnvironment(dollars(text), environment);
    expect(found.text).toBe(dollars(wanted));
    expect(found.unset).toEqual(unset);
  });

  test("openings without an end take linear time", () => {
    const text = ("$" + "{A:-").repeat(400_000);
    const start = process.cpuUsage();
    expect(replaceEnvironment(text, environment)).toEqual({ text, replaced: false, unset: [] });
    expect(process.cpuUsage(start).user / 1_000).toBeLessThan(2_000);
  });
});
