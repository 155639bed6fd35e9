import { describe, expect, test } from "vitest";
import { Problems } from "../../../src/config/schema-kit/diagnostics.ts";
import { type ConfigNode, SourceText } from "../../../src/config/schema-kit/tree.ts";
import { parseYamlTree, replaceEnvironment } from "../../../src/config/schema-kit/yaml-tree.ts";

type Plain = string | null | readonly Plain[] | { readonly [key: string]: Plain };

/** The tree without locations. A refused node is `<refused>`. */
function plain(node: ConfigNode | undefined): Plain {
  switch (node?.kind) {
    case "scalar":
      return node.text;
    case "list":
      return node.items.map(plain);
    case "map":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
    case "refused":
      return "<refused>";
    default:
      return null;
  }
}

function parse(text: string, environment = {}): { tree: ConfigNode | undefined; problems: readonly string[] } {
  const problems = new Problems(new SourceText("f", text));
  const tree = parseYamlTree(problems, environment);
  return { tree, problems: problems.diagnostics().map(({ line, column, message }) => `${line}:${column}: ${message}`) };
}

/** The case, the text, and its contents. */
const cases: readonly (readonly [string, string, Plain])[] = [
  [
    "scalars are kept as written",
    "[1.10, 007, yes, 0x1F, 1e3, 2026-01-01, +5]",
    ["1.10", "007", "yes", "0x1F", "1e3", "2026-01-01", "+5"],
  ],
  ["quotes are removed, escapes resolved", `["a\\tb", 'it''s', "007"]`, ["a\tb", "it's", "007"]],
  ["nothing has four spellings", "{ a: , b: ~, c: null, d: NULL }", { a: null, b: null, c: null, d: null }],
  ["in quotes they are strings", `["", "~", 'null']`, ["", "~", "null"]],
  ["block scalars", "a: |\n  b\n  c\n", { a: "b\nc\n" }],
  [
    "comments, anchors and aliases",
    "a: &x { b: 1 } # c\nd: *x\ne: [*x]",
    { a: { b: "1" }, d: { b: "1" }, e: [{ b: "1" }] },
  ],
  ["an anchor may be redefined", "a: &x 1\nb: *x\nc: &x 2\nd: *x", { a: "1", b: "1", c: "2", d: "2" }],
  ["an anchor on a key", "&x a: 1\nb: *x", { a: "1", b: "a" }],
  ["pairs within a list", "[a: 1, b]", [{ a: "1" }, "b"]],
  ["a directive and the end of a document", "%YAML 1.2\n---\na: 1\n...\n", { a: "1" }],
];

describe("the tree of a YAML file", () => {
  test.each(cases)("%s", (_sentence, text, wanted) => {
    const { tree, problems } = parse(text);
    expect(problems).toEqual([]);
    expect(plain(tree)).toEqual(wanted);
  });

  test("variables are replaced in values, not in keys", () => {
    const { tree } = parse(`"\${A}": ["\${A}", '\${B:-c}']`, { A: "x" });
    expect(plain(tree)).toEqual({ [`\${A}`]: ["x", "c"] });
  });

  test("a variable with the value null is a string", () => {
    expect(plain(parse(`a: \${A}\nb: \${B}`, { A: "null", B: "" }).tree)).toEqual({ a: "null", b: "" });
  });

  test.each([
    ["an empty file", ""],
    ["only comments", "# a\n\n# b\n"],
    ["only the start of a document", "---\n"],
    ["null", "null"],
  ])("%s is empty", (_sentence, text) => {
    const { tree, problems } = parse(text);
    expect(tree).toBeUndefined();
    expect(problems).toEqual(["1:1: the file is empty"]);
  });

  test.each([
    ["a list before a further key", "a: [1, 2\nb: 3\n", "2:1", "[", "1:4", "]"],
    ["a map before a further key", "a:\n  b: { c: 1\n  d: 2\n", "3:3", "{", "2:6", "}"],
    ["a list at the end of the file", "a: [1, 2", "1:9", "[", "1:4", "]"],
    ["a list that is the whole file", "[1, 2\n", "2:1", "[", "1:1", "]"],
    ["the inner one of two lists", "a: [1, [2\n", "2:1", "[", "1:8", "]"],
    ["a map in a list that is closed", "a: [1, { b: 2 ]\n", "1:15", "{", "1:8", "}"],
    ["a list whose bracket is not indented", "a:\n  b: [\n    1\n]\n", "4:1", "[", "2:6", "]"],
  ])("%s: an unclosed bracket is reported with its location", (_sentence, text, at, open, opened, close) => {
    const problems = new Problems(new SourceText("f", text));
    parseYamlTree(problems, {});
    const [{ line, column, message, suggestion } = { line: 0, column: 0 }] = problems.diagnostics();
    expect({ at: `${line}:${column}`, message, suggestion }).toEqual({
      at,
      message: `the ${open} opened at ${opened} is not closed`,
      suggestion: text.endsWith(" ]\n")
        ? `add ${close} before this ], or remove the ]`
        : `add ${close}, or indent the lines inside ${open} ${close} further`,
    });
  });

  test("billion laughs: aliases must not expand the file", () => {
    const lines = Array.from(
      { length: 9 },
      (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(10)}]`,
    );
    const { problems } = parse(`a0: &a0 [${"x,".repeat(10)}]\n${lines.join("\n")}\n`);
    expect(problems[0]).toBe("6:38: aliases expand this file to more than 1000000 values");
  });

  test("an alias that is used many times is not an alias bomb", () => {
    const { tree, problems } = parse(`a: &a [1, 2, 3]\nb: [${"*a,".repeat(10_000)}]\n`);
    expect(problems).toEqual([]);
    expect(tree?.kind).toBe("map");
  });

  test.each([
    ["lists", "[".repeat(200) + "]".repeat(200)],
    ["maps", `${"{a: ".repeat(200)}1${"}".repeat(200)}`],
    [
      "aliases",
      Array.from({ length: 200 }, (_, at) => `a${at}: &a${at} [${at === 0 ? "x" : `*a${at - 1}`}]`).join("\n"),
    ],
  ])("%s nest at most 100 levels deep", (_sentence, text) => {
    const { problems } = parse(text);
    expect(problems[0]).toMatch(/^\d+:\d+: values nest deeper than 100 levels$/);
  });

  test("nesting that the parser itself cannot follow gives the same message", () => {
    expect(parse("[".repeat(50_000)).problems[0]).toMatch(/^1:\d+: values nest deeper than 100 levels$/);
  });

  test("at most 1000 problems are reported", () => {
    const { problems } = parse(Array.from({ length: 1_500 }, () => "a: 1\n").join(""));
    expect(problems.length).toBe(1_001);
    expect(problems.at(-1)).toBe("1501:1: 499 more problems are not shown");
  });
});

const environment = { HOST: "shop", EMPTY: "", _X1: "x", NESTED: "$" + "{HOST}" };

/** The case, the text (`@` for `$`), its replacement, and the variables that are not set. */
const environmentCases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["a string without a variable is unchanged", "plain @ text {HOST}", "plain @ text {HOST}", []],
  ["a variable", "http://@{HOST}:80", "http://shop:80", []],
  ["several variables", "@{HOST}-@{_X1}-@{HOST}", "shop-x-shop", []],
  ["a default for one that is not set", "@{NOPE:-a b}", "a b", []],
  ["a default for one that is empty, as in a shell", "@{EMPTY:-full}", "full", []],
  ["an empty default", "[@{NOPE:-}]", "[]", []],
  ["a default with colons and dashes", "@{NOPE:-:-x:-}", ":-x:-", []],
  ["an empty value without a default", "[@{EMPTY}]", "[]", []],
  ["variables that are not set", "@{NOPE}@{NEITHER}", "", ["NOPE", "NEITHER"]],
  ["an escape", "@@{HOST}", "@{HOST}", []],
  ["an escape of something that is not a variable", "@@{host}", "@{host}", []],
  ["an escape, then a variable", "@@{@{HOST}", "@{shop", []],
  ["three dollar signs: one is kept, the others are an escape", "@@@{HOST}", "@@{HOST}", []],
  ["a name in lower case is not a variable", "@{host}", "@{host}", []],
  ["a repetition in a regular expression is not a variable", "^a@{2}", "^a@{2}", []],
  ["a name without its brace", "@{HOST", "@{HOST", []],
  ["a default without its brace", "@{HOST:-x", "@{HOST:-x", []],
  ["other shell operators are not supported", "@{HOST-x}", "@{HOST-x}", []],
  ["a value is not replaced again", "@{NESTED}", "@{HOST}", []],
  ["inherited properties of a plain object are not variables", "@{__PROTO__}", "", ["__PROTO__"]],
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
