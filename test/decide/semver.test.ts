import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareSemver,
  formatSemver,
  parseSemver,
  parseSemverRange,
  type SemanticVersion,
} from "../../src/decide/semver.ts";

function versionOf(text: string): SemanticVersion {
  const version = parseSemver(text);
  if (version === undefined) throw new Error(`no version: ${text}`);
  return version;
}

describe("parseSemver", () => {
  const read: [sentence: string, text: string, wanted: string][] = [
    ["a plain version", "1.2.3", "1.2.3"],
    ["a leading v", "v1.2.3", "1.2.3"],
    ["a leading V", "V1.2.3", "1.2.3"],
    ["a major alone", "4", "4.0.0"],
    ["a major and minor", "4.10", "4.10.0"],
    ["a prerelease", "1.0.0-alpha.1", "1.0.0-alpha.1"],
    ["a prerelease of a partial version", "4.2-beta", "4.2.0-beta"],
    ["build data, dropped", "1.0.0+build.007", "1.0.0"],
    ["a prerelease and build data", "1.0.0-rc.1+x", "1.0.0-rc.1"],
    ["identifiers of dashes", "1.0.0---", "1.0.0---"],
    ["a prerelease that starts with a zero but is not a number", "1.0.0-0a", "1.0.0-0a"],
    ["the largest number", "9007199254740991.0.0", "9007199254740991.0.0"],
  ];
  it.each(read)("parses %s", (_, text, wanted) => {
    expect(formatSemver(versionOf(text))).toBe(wanted);
  });

  const refused: [sentence: string, text: string][] = [
    ["an empty text", ""],
    ["a leading zero in the core", "1.02.3"],
    ["a leading zero in a numeric identifier", "1.0.0-01"],
    ["an empty identifier", "1.0.0-a..b"],
    ["an empty prerelease", "1.0.0-"],
    ["empty build data", "1.0.0+"],
    ["four numbers", "1.2.3.4"],
    ["a blank", " 1.2.3"],
    ["a line end", "1.2.3\n"],
    ["a sign", "-1.2.3"],
    ["a number over 2^53 - 1", "9007199254740993.0.0"],
    ["a word", "latest"],
    ["two leading v", "vv1"],
    ["a very long prerelease", `1.0.0-${"a.".repeat(50_000)}a`],
  ];
  it.each(refused)("rejects %s", (_, text) => {
    expect(parseSemver(text)).toBeUndefined();
  });
});

describe("compareSemver", () => {
  it("orders the example of semver.org §11", () => {
    const chain =
      "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0 2.1.0 2.1.1";
    const ordered = chain.split(" ").map(versionOf);
    for (const [left, lower] of ordered.entries()) {
      for (const [right, higher] of ordered.entries()) {
        expect(Math.sign(compareSemver(lower, higher))).toBe(Math.sign(left - right));
      }
    }
  });

  it("treats versions as equal if and only if their canonical texts are equal", () => {
    const identifier = fc.oneof(fc.nat({ max: 12 }).map(String), fc.constantFrom("a", "b", "B", "-", "0a"));
    const text = fc
      .tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 }), fc.array(identifier, { maxLength: 3 }))
      .map(
        ([major, minor, prerelease]) => `${major}.${minor}${prerelease.length === 0 ? "" : `-${prerelease.join(".")}`}`,
      );
    fc.assert(
      fc.property(text, text, (left, right) => {
        const equal = compareSemver(versionOf(left), versionOf(right)) === 0;
        expect(equal).toBe(formatSemver(versionOf(left)) === formatSemver(versionOf(right)));
      }),
      { numRuns: 500 },
    );
  });
});

describe("parseSemverRange", () => {
  const rows: [range: string, inside: string, outside: string][] = [
    [">=4 <5", "4 4.99 4.2.0-beta.1 5.0.0-beta", "3.9 4.0.0-beta 5"],
    [">=4.1 <5", "4.2.0-beta.1 4.1", "4.1.0-rc.1"],
    [">= 4.1, < 5", "4.1 4.9", "5"],
    [">=4,<5", "4", "5"],
    [">4", "4.0.1 5", "4"],
    ["<=4", "4 3", "4.0.1"],
    ["=4.2", "4.2.0 v4.2", "4.2.1"],
    ["4.2", "4.2.0+build", "4.2.1 4.2.0-beta"],
    ["^1.2.3", "1.2.3 1.9 1.3.0-beta", "1.2.2 2 2.0.0-beta 1.2.3-beta"],
    ["^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 1"],
    ["^0.0.3", "0.0.3", "0.0.4 0.0.2"],
    ["^0.0", "0.0.7", "0.1.0"],
    ["^0", "0.9", "1"],
    ["^1.2", "1.2 1.9", "2 1.1"],
    ["^4.x", "4.0.0-beta 4.9", "5 3.9"],
    ["~1.2.3", "1.2.3 1.2.9", "1.3 1.3.0-beta 1.2.2"],
    ["~1.2", "1.2.0 1.2.9", "1.3"],
    ["~1", "1.0 1.9", "2 0.9"],
    ["1.2 - 2.3", "1.2 2.0 2.3.0", "1.1.9 2.3.1"],
    ["1.2 - 2.x", "1.2 2.9", "3 3.0.0-beta"],
    ["4.x", "4.0.0-beta 4.0.0 4.9.9", "3.9 5.0.0-beta 5"],
    ["4.2.*", "4.2.0 4.2.7", "4.3 4.1"],
    ["4.X.x", "4.1", "5"],
    ["v4.x", "4.1", "5"],
    ["*", "0.0.0-0 1 99", ""],
    [">4.x", "5 5.0.0-beta", "4.9"],
    [">=4.x", "4.0.0-beta 5", "3.9"],
    ["<=4.x", "4.9 3", "5 5.0.0-beta"],
    ["<4.x", "3.9", "4 4.0.0-beta"],
    [">=1.0.0-rc.1", "1.0.0-rc.1 1.0.0-rc.2 1", "1.0.0-beta"],
    ["1.0.0-a.x", "1.0.0-a.x", "1.0.0"],
    ["1.x || >=3 <3.5", "1.9 3.4", "2 3.5"],
    ["1||2", "1 2", "1.1"],
    [">=2 <1", "", "1 1.5 2"],
  ];
  it.each(rows)("%s", (text, inside, outside) => {
    const range = parseSemverRange(text);
    const answers = (texts: string) => texts.split(" ").filter((each) => each !== "" && range?.test(versionOf(each)));
    expect(answers(inside)).toEqual(inside.split(" ").filter((each) => each !== ""));
    expect(answers(outside)).toEqual([]);
    expect(range?.source).toBe(text);
  });

  const refused = [
    "",
    " ",
    "latest",
    ">=",
    ">= ",
    "1 ||",
    "|| 1",
    "1 | 2",
    "x.2",
    "4.x.2",
    "4.x-beta",
    ">*",
    "<*",
    "<>4",
  ];
  const more = ["!=4", ">=4 - <5", "1 -2", "01.2", "1..2", ">==4", "=>4", "1, , 2", ",1", "a".repeat(2000)];
  it.each([...refused, ...more])("rejects %j", (text) => {
    expect(parseSemverRange(text)).toBeUndefined();
  });
});
