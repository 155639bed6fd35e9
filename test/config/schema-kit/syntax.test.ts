import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "../valid-config.ts";

/** The case, the text to replace, its replacement, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["a tag", "staff: true", "staff: !!bool true", ['27:68: error: YAML tags such as "!!bool" are not supported']],
  ["a custom tag", "staff: true", "staff: !flag true", ['27:67: error: YAML tags such as "!flag" are not supported']],
  [
    "a merge key",
    "    default: stable",
    "    <<: {}\n    default: stable",
    ["14:5: error: YAML merge keys (<<) are not supported; repeat the keys, or use an alias for a whole value"],
  ],
  [
    "a tab as indentation, without consequential errors",
    "    default: stable\n",
    "    default: stable\n\tx: y\n",
    [
      "15:1: error: tabs are not allowed as indentation; use spaces",
      "19:1: error: the indentation of this line matches no enclosing block",
    ],
  ],
  [
    "a missing brace",
    "path: { prefix: /api } }",
    "path: { prefix: /api }",
    [
      "36:5: error: the { opened at 35:12 is not closed; add }, or indent the lines inside { } further",
      "37:14: error: nested mappings are not allowed in compact mappings",
      "38:11: error: nested mappings are not allowed in compact mappings",
      "39:14: error: nested mappings are not allowed in compact mappings",
    ],
  ],
  [
    "a variable without quotes in braces",
    "canary: 5 }",
    `canary: \${WEIGHT} }`,
    [
      "32:35: error: unexpected flow-map-start at node end; inside { } and [ ] a value with a variable must be quoted",
      '33:1: error: unexpected scalar token in YAML stream: "routes"',
    ],
  ],
  [
    "a second document",
    "routes:",
    "---\nroutes:",
    ["33:1: error: the file contains more than one YAML document; only one is allowed"],
  ],
  [
    "an alias without an anchor",
    "staff: true",
    "staff: *nope",
    ['27:61: error: the anchor "nope" is not defined before this alias'],
  ],
  [
    "an address on every host without quotes",
    "staff: true",
    "staff: *:8080",
    [
      '27:61: error: the anchor ":8080" is not defined before this alias; a value that starts with * must be quoted: "*:8080"',
    ],
  ],
  [
    "an alias inside its own anchor",
    "staff: true",
    "staff: true, all: &a [{ any: *a }]",
    ['27:83: error: the alias "a" is inside its own anchor'],
  ],
  ["an alias as a key", "staff: true", "staff: &key true, *key : true", ["27:72: error: keys must be plain strings"]],
  ["a key that is a list", "staff: true", "staff: true, ? [a] : b", ["27:69: error: keys must be plain strings"]],
  [
    "an unknown key before a syntax error is reported as well",
    "services:",
    "colour: blue\nservices: [\n",
    [
      '12:1: error: unknown key "colour" in the configuration; the keys are listeners, trustedProxies, exposeVersion, pathNormalisation, pathParameters, fastLane, admin, workers, accessLog, state, tracing, limits, dns, attributes, jwt, geo, services, releases, routes',
      "13:11: error: expected a map of services, found a list",
      "16:5: error: block collections are not allowed within flow collections",
      "21:1: error: the [ opened at 13:11 is not closed; add ], or indent the lines inside [ ] further",
    ],
  ],
];

describe("YAML", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
