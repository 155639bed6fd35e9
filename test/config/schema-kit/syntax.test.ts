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
    ["15:1: error: tabs are not allowed as indentation; use spaces"],
  ],
  [
    "a missing brace",
    "path: { prefix: /api } }",
    "path: { prefix: /api }",
    ["36:5: error: the { opened at 35:12 is not closed; add }, or indent the lines inside { } further"],
  ],
  [
    "a variable without quotes in braces",
    "canary: 5 }",
    `canary: \${WEIGHT} }`,
    [`32:34: error: inside { } and [ ] a value with a variable must be quoted; write "\${WEIGHT}"`],
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
      '12:1: error: unknown key "colour" in the configuration; the keys are listeners, trustedProxies, exposeVersion, pathNormalisation, pathParameters, fastLane, admin, workers, accessLog, state, tracing, kubernetes, limits, dns, attributes, jwt, geo, services, releases, routes',
      "21:1: error: the [ opened at 13:11 is not closed; add ], or indent the lines inside [ ] further",
    ],
  ],
];

describe("YAML", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});

const services = `services:
  shop:
    versions:
      stable: { endpoints: ["http://a:80"] }
`;
const routes = "routes:\n  - { name: shop, service: shop }\n";
const inFlow = (endpoints: string) => `services:\n  shop:\n    versions:\n      stable: ${endpoints}\n`;
const item = (text: string) => `${services}routes:\n  - ${text}\n`;

/** What is wrong, the file, and the only problem that is reported. */
const slips: readonly (readonly [string, string, string])[] = [
  ["a tab", `services:\n\tshop: {}\n`, "2:1: error: tabs are not allowed as indentation; use spaces"],
  [
    "no colon after a key alone",
    `${services}routes\n  - { name: shop, service: shop }\n`,
    '5:1: error: a colon is missing after "routes"; write routes:',
  ],
  [
    "no colon after a key with a value",
    item("name shop\n    service: shop"),
    '6:5: error: a colon is missing after "name"; write name: shop',
  ],
  [
    "no space after a colon",
    item("name:shop\n    service: shop"),
    "6:5: error: a space is missing after the colon; write name: shop",
  ],
  [
    "a full-width colon",
    item("name：shop\n    service: shop"),
    '6:9: error: "：" is not a colon to YAML; write ":" and a space',
  ],
  [
    "a quote that nothing closes",
    `${inFlow('{ endpoints: ["http://a:80] }')}${routes}`,
    '4:29: error: the " opened at 4:29 is not closed; add " at the end of the value',
  ],
  [
    "a single quote that nothing closes, at the end",
    item("name: 'shop"),
    "6:11: error: the ' opened at 6:11 is not closed; add ' at the end of the value",
  ],
  [
    "a quote that ends with the indentation",
    inFlow('{ endpoints: ["http://a:80] }\n      canary: { endpoints: ["http://b:80"] }'),
    '4:29: error: the " opened at 4:29 is not closed; add " at the end of the value',
  ],
  [
    "a quote that the next one closes",
    inFlow('{ endpoints: [\n        "http://a:80,\n        "http://b:80"] }'),
    '5:9: error: the " opened at 5:9 is closed only at 6:9; add " at the end of the value',
  ],
  [
    "text after a quoted value",
    item('name: "shop"s\n    service: shop'),
    "6:17: error: there is text after the closing quote of this value; put the whole value in quotes",
  ],
  [
    "no ]",
    `${inFlow('\n        endpoints: ["http://a:80"')}${routes}`,
    "6:1: error: the [ opened at 5:20 is not closed; add ], or indent the lines inside [ ] further",
  ],
  [
    "no ] before a }",
    `${inFlow('{ endpoints: ["http://a:80" }')}${routes}`,
    "4:43: error: the [ opened at 4:28 is not closed; add ] before this }, or remove the }",
  ],
  [
    "no }",
    `${inFlow('{ endpoints: ["http://a:80"]')}${routes}`,
    "5:1: error: the { opened at 4:15 is not closed; add }, or indent the lines inside { } further",
  ],
  [
    "a } too many",
    `${inFlow('{ endpoints: ["http://a:80"] }}')}${routes}`,
    "4:45: error: this } closes nothing; remove it, or add the missing { before it",
  ],
  [
    "a line that is not deep enough",
    `${services}     canary: { endpoints: ["http://b:80"] }\n${routes}`,
    "5:6: error: the indentation of this line matches no enclosing block; line it up with the lines that it belongs to",
  ],
  [
    "a line that is too deep",
    item("name: shop\n     service: shop"),
    '7:6: error: this line is indented further than "name" in the line above; start it in column 5 if it belongs beside that key',
  ],
  [
    "a line between an item and its list",
    item("name: shop\n   service: shop"),
    '7:4: error: this line is neither a list item nor lined up with the keys of the item above; begin it with "- ", or start it in the column of those keys',
  ],
  [
    "a key twice",
    `${services}${services}${routes}`,
    '5:1: error: duplicate key "services"; it is already set on line 1',
  ],
  [
    "an item without a value",
    item("\n  - { name: shop, service: shop }"),
    '6:3: error: expected a route (a map), found nothing; add a value, or remove the "-"',
  ],
  [
    "a dash before a name",
    `services:\n  - shop: {}\n${routes}`,
    '2:3: error: expected a map of services, found a list; remove the "-" in front of the keys',
  ],
  [
    "a dash before a key",
    `${services}- routes:\n  - { name: shop, service: shop }\n`,
    '5:1: error: there is a list item ("-") among keys; remove the "-", or indent it below the key of its list',
  ],
  [
    "a dash without a space",
    `${services}routes:\n  -{ name: shop, service: shop }\n`,
    '6:3: error: a space is missing after the "-"',
  ],
  ["no comma between keys", item("{ name: shop service: shop }"), '6:18: error: a comma is missing before "service"'],
  [
    "no comma between items",
    inFlow('{ endpoints: ["http://a:80" "http://b:80"] }'),
    "4:43: error: a comma is missing before this",
  ],
  [
    "a colon in a value",
    item("name: shop: a\n    service: shop"),
    '6:11: error: a value that contains ": " must be quoted; put the whole value in quotes',
  ],
  [
    "a pattern that starts with a star",
    item("{ name: shop, service: shop, match: { hosts: [*.example.com] } }"),
    '6:51: error: the anchor ".example.com" is not defined before this alias; a value that starts with * must be quoted: "*.example.com"',
  ],
  [
    "a value that starts with @",
    item("name: @shop\n    service: shop"),
    "6:11: error: a value cannot start with @; put the whole value in quotes",
  ],
  [
    "a regular expression in double quotes",
    item('{ name: shop, service: shop, match: { path: { regex: "\\d" } } }'),
    "6:59: error: \\d is not an escape sequence of double quotes; use single quotes, or write \\\\ for a backslash",
  ],
  [
    "a no-break space",
    `${services}routes:\n  -\u00a0name: shop\n    service: shop\n`,
    "6:4: error: this character (U+00A0) looks like a space but is not one; type an ordinary space",
  ],
];

describe("a slip is reported once, with its place and what to do:", () => {
  test.each(slips)("%s", (_sentence, text, wanted) => {
    const [first, ...others] = problemsOf(load(text));
    expect(first).toBe(wanted);
    expect(others.filter((other) => !other.includes("missing"))).toEqual([]);
  });
});
