import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "../valid-config.ts";

/** The case, the text to replace, its replacement, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "an unknown key at the top level",
    "trustedProxies:",
    "trustedProxys:",
    ['4:1: error: unknown key "trustedProxys" in the configuration; did you mean "trustedProxies"?'],
  ],
  [
    "an unknown key without a similar one",
    "    default: stable",
    "    colour: blue\n    default: stable",
    [
      '14:5: error: unknown key "colour" in a service; the keys are default, versions, balance, protocol, timeouts, tls, external, health, outlier, retries, limits',
    ],
  ],
  [
    "a misspelt required key, reported once",
    "        use: canary",
    "        uses: canary",
    ['28:9: error: unknown key "uses" in a rule; did you mean "use"?'],
  ],
  [
    "a required key that is missing",
    "  - name: shop\n    service: shop\n",
    "  - name: shop\n",
    ["38:5: error: a route needs one of the keys service, redirect"],
  ],
  [
    "an invalid protocol",
    "    default: stable",
    "    protocol: h2\n    default: stable",
    ['14:15: error: expected http1 or http2, found "h2"'],
  ],
  [
    "a listener's h2c that is neither true nor false",
    "  - name: web",
    "  - h2c: prior\n    name: web",
    ['2:10: error: expected true or false, found "prior"'],
  ],
  [
    "a key of a later version in a route",
    "    match: {",
    "    retries: {}\n    match: {",
    ['35:5: error: "retries" is not supported by this version of Perch'],
  ],
  [
    "workers that are not a number",
    "services:",
    "workers: some\nservices:",
    ['12:10: error: expected auto or 1 to 256, found "some"'],
  ],
  ["no workers", "services:", "workers: 0\nservices:", ['12:10: error: expected auto or 1 to 256, found "0"']],
  [
    "too many workers",
    "services:",
    "workers: 257\nservices:",
    ['12:10: error: expected auto or 1 to 256, found "257"'],
  ],
  [
    "a duplicate key",
    "    default: stable",
    "    default: stable\n    default: canary",
    ['15:5: error: duplicate key "default"; it is already set on line 14'],
  ],
  [
    "a duplicate header with different letter case",
    "match: {",
    "match: { headers: { x-a: a, X-A: b },",
    ['35:33: error: duplicate key "X-A": "x-a" already exists with different letter case'],
  ],
  ["__proto__ as a key", "services:", "__proto__: {}\nservices:", ['12:1: error: "__proto__" is not allowed as a key']],
  [
    "prototype as a name",
    "  shop:\n    default",
    "  prototype: {}\n  shop:\n    default",
    ['13:3: error: "prototype" is not allowed as a key'],
  ],
  [
    "constructor as a version",
    "    split: { stable: 95, canary: 5 }",
    "    split: { stable: 95, canary: 5, constructor: 1 }",
    ['32:37: error: "constructor" is not allowed as a key'],
  ],
  [
    "two keys that cannot be used together",
    "{ prefix: /api }",
    "{ prefix: /api, exact: /api }",
    ['35:49: error: "exact" and "prefix" cannot be used together in a path'],
  ],
  [
    "none of the keys of which one is required",
    "{ prefix: /api }",
    "{}",
    ["35:47: error: a path needs one of the keys exact, prefix, regex"],
  ],
  [
    "two sources in one",
    "{ query: orders }",
    "{ query: orders, header: x }",
    ['7:36: error: "header" and "query" cannot be used together in a source'],
  ],
  [
    "a source without a kind",
    "{ query: orders }",
    "{ trust: proxies }",
    ["7:34: error: a source needs one of the keys header, cookie, query, clientAddress, jwt, geo"],
  ],
  [
    "an override without a header and a cookie",
    "header: x-version, cookie: version, ",
    "",
    ["24:15: error: an override needs at least one of the keys header, cookie"],
  ],
];

describe("keys", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
