import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "../valid-config.ts";

/** What is wrong, the thing replaced, its replacement, and every problem that is then told. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["a tag", "staff: true", "staff: !!bool true", ['27:68: error: YAML tags are not supported, here "!!bool"']],
  [
    "a tag of one's own",
    "staff: true",
    "staff: !flag true",
    ['27:67: error: YAML tags are not supported, here "!flag"'],
  ],
  [
    "a merge key",
    "    default: stable",
    "    <<: {}\n    default: stable",
    ["14:5: error: YAML merge keys (<<) are not supported; write the keys out, or use an alias for a whole value"],
  ],
  [
    "a tab as indentation, and no echoes of it",
    "    default: stable\n",
    "    default: stable\n\tx: y\n",
    [
      "15:1: error: a tab may not indent; use spaces",
      "19:1: error: this line's indentation fits neither its neighbours nor its parent",
    ],
  ],
  [
    "a brace that is missing",
    "path: { prefix: /api } }",
    "path: { prefix: /api }",
    [
      "36:5: error: this line's indentation fits neither its neighbours nor its parent",
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
      "32:35: error: unexpected flow-map-start at node end; inside { } and [ ] a value with a variable must stand in quotes",
      '33:1: error: unexpected scalar token in YAML stream: "routes"',
    ],
  ],
  [
    "a second document",
    "routes:",
    "---\nroutes:",
    ["33:1: error: the file holds more than one YAML document; Perch reads one"],
  ],
  [
    "an alias without an anchor",
    "staff: true",
    "staff: *nope",
    ['27:61: error: no anchor "nope" stands before this alias'],
  ],
  [
    "an alias inside its own anchor",
    "staff: true",
    "staff: true, all: &a [{ any: *a }]",
    ['27:83: error: the alias "a" stands inside its own anchor'],
  ],
  ["an alias as a key", "staff: true", "staff: &key true, *key : true", ["27:72: error: only plain texts can be keys"]],
  ["a key that is a list", "staff: true", "staff: true, ? [a] : b", ["27:69: error: only plain texts can be keys"]],
  [
    "an unknown key before a syntax error is told with it",
    "services:",
    "colour: blue\nservices: [\n",
    [
      '12:1: error: unknown key "colour" in the configuration; the keys are listeners, trustedProxies, exposeVersion, pathNormalisation, fastLane, admin, workers, accessLog, tracing, limits, dns, attributes, jwt, geo, services, releases, routes',
      "13:11: error: expected a map of services, found a list",
      "16:5: error: block collections are not allowed within flow collections",
      "21:1: error: this line's indentation fits neither its neighbours nor its parent",
    ],
  ],
];

describe("YAML", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
