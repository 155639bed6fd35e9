import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { all, checkout, readPage, section } from "./page.ts";

const read = (name: string) => readFileSync(`${checkout}${name}`, "utf8");
const readme = read("README.md");
const packageJson: {
  readonly version: string;
  readonly license: string;
  readonly engines: { readonly node: string };
  readonly files: readonly string[];
} = JSON.parse(read("package.json"));

/** What somebody reads who has just found the project. */
const [opening = "", reference = ""] = readme.split("\n## Reference\n");

describe("the README before its reference", () => {
  test("has at most 1,200 words, a diagram and a picture", () => {
    expect(reference).not.toBe("");
    expect(opening.split(/\s+/).filter((word) => word !== "").length).toBeLessThanOrEqual(1_200);
    expect(opening.match(/^!\[[^\]]+\]\((.*)\)$/gm)).toHaveLength(2);
  });

  test("has the two commands, in a configuration of at most 15 lines what to start with", () => {
    expect(opening).toContain("npm ci && npm start");
    expect(opening).toContain("npm ci && npm test");
    const [yaml] = all(section(readPage("README.md"), "First canary"), "code");
    expect(yaml?.text.split("\n").length).toBeLessThanOrEqual(15);
  });
});

describe("what the README says of the package", () => {
  test.each([
    ["version", packageJson.version],
    ["licence", packageJson.license],
    ["node", Array.from(packageJson.engines.node.matchAll(/[\^=](\d+)/g), ([, major]) => major).join(" | ")],
  ])("the badge of the %s is true", (name, value) => {
    const badge = read(`docs/images/badge-${name}.svg`);
    expect(badge).toContain(`<title>${name}: ${value}</title>`);
    expect(badge).toContain(`>${value}</text>`);
  });

  test("the version that its pages are for", () => {
    const { version } = packageJson;
    expect(readme).toContain(`These pages describe version ${version}. `);
    expect(readme).toContain(`(\`v${version}\`)`);
    expect(readme).toContain(`[![version ${version}]`);
  });

  test("the package has its pages, the changelog, and whom to ask", () => {
    expect(packageJson.files).toEqual(expect.arrayContaining(["docs", "README.md", "CHANGELOG.md", "SECURITY.md"]));
  });
});
