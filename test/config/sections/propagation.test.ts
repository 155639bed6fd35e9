import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

/** The case, the release's `propagate`, and all problems that are reported. */
const errors: readonly (readonly [string, string, readonly string[]])[] = [
  ["not a map", "x-lane", ['33:16: error: expected propagate (a map), found "x-lane"']],
  [
    "an unknown key",
    "{ acceptForm: [] }",
    ['33:18: error: unknown key "acceptForm" in propagate; did you mean "acceptFrom"?'],
  ],
  [
    "not an address",
    "{ acceptFrom: [shop] }",
    ['33:31: error: "shop" is not an address or a CIDR range; write it as in 10.0.0.0/8 or fd00::/8'],
  ],
  [
    "a header's name with a blank",
    "{ header: x lane }",
    ['33:26: error: "x lane" is not a header name: use letters, digits and !#$%&\'*+-.^_`|~, at most 128 characters'],
  ],
  [
    "a header with another meaning",
    "{ header: Cookie }",
    ['33:26: error: "cookie" cannot carry the assigned version: the header has another meaning'],
  ],
  [
    "the baggage as a header",
    "{ header: { name: baggage } }",
    ['33:34: error: "baggage" cannot carry the assigned version: the header has another meaning'],
  ],
  [
    "the override's header",
    "{ header: X-Version }",
    [
      '33:26: error: "x-version" is the override\'s header of release shop, which is never forwarded; rename one of them',
    ],
  ],
  [
    "an unknown format",
    "{ header: { format: verson } }",
    ['33:36: error: expected releases or version, found "verson"; did you mean "version"?'],
  ],
  [
    "a word with a comma",
    '{ header: { versions: { canary: "a,b" } } }',
    [
      '33:48: error: "a,b" is not a version\'s name in a header: use letters, digits, dots, dashes and underscores, at most 63 characters',
    ],
  ],
  [
    "a word for two versions",
    '{ header: { versions: { canary: "1", stable: "1" } } }',
    ['33:61: error: version canary is already called "1"'],
  ],
];

const place = "    split: { stable: 95, canary: 5 }\n";
const withPropagate = (propagate: string, more = "") => changed(place, `${place}    propagate: ${propagate}\n${more}`);

describe("propagate", () => {
  test.each(errors)("%s", (_what, propagate, wanted) => {
    expect(problemsOf(load(withPropagate(propagate)))).toEqual(wanted);
  });

  test("one header with two formats", () => {
    const second =
      "  other: { propagate: { header: { name: x-lane, format: version } }, sticky: { cookie: { secretFile: pins.secret } } }\n";
    expect(problemsOf(load(withPropagate("{ header: x-lane }", second)))).toContain(
      '34:41: error: release shop uses "x-lane" with format releases; a header has one format',
    );
  });

  test("accepting versions from anyone gives a warning", () => {
    expect(problemsOf(load(withPropagate("{ acceptFrom: [0.0.0.0/0] }")))).toEqual([
      "33:31: warning: 0.0.0.0/0 lets any client choose the version, bypassing rules and weights; list only the addresses of your own services",
    ]);
  });

  test("omitted keys have defaults", () => {
    expect(compiled(withPropagate("{}")).releases[0]?.propagate).toEqual({
      header: { name: "x-perch-release", format: "releases", words: [] },
      baggage: true,
      acceptFrom: [],
    });
  });
});
