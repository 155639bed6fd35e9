import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "./valid-config.ts";

/** The case, the text to replace, its replacement, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "an unknown service",
    "    service: shop\n    release: shop\n  - name: shop",
    "    service: shpo\n    release: shop\n  - name: shop",
    ['36:14: error: unknown service "shpo"; did you mean "shop"?'],
  ],
  [
    "an unknown release",
    "    release: shop\n  - name: shop",
    "    release: shup\n  - name: shop",
    ['37:14: error: unknown release "shup"; did you mean "shop"?'],
  ],
  [
    "an unknown version in a split",
    "canary: 5 }",
    "canry: 5 }",
    ['32:26: error: unknown version "canry"; did you mean "canary"?'],
  ],
  [
    "an unknown version in a rule",
    "use: canary",
    "use: canray",
    ['28:14: error: unknown version "canray"; did you mean "canary"?'],
  ],
  [
    "an unknown version in a rule's weights",
    "{ canary: 10, stable: 90 }",
    "{ canary: 10, stabel: 90 }",
    ['31:28: error: unknown version "stabel"; did you mean "stable"?'],
  ],
  [
    "an unknown default version",
    "default: stable",
    "default: stabel",
    ['14:14: error: unknown version "stabel"; did you mean "stable"?'],
  ],
  [
    "an invalid service, without further errors about its versions",
    "  shop:\n    default: stable\n    versions:\n",
    "  shop: 5\n  spare:\n    default: stable\n    versions:\n",
    ['13:9: error: expected a service (a map), found "5"'],
  ],
  [
    "an unknown attribute in a rule",
    "{ userId: ada",
    "{ userid: ada",
    ['27:17: error: unknown attribute "userid"; did you mean "userId"?'],
  ],
  [
    "an unknown attribute as the unit",
    "by: userId",
    "by: user",
    ['22:11: error: unknown attribute "user"; known: userId, orders, staff, since, app, peer, clientAddress'],
  ],
  [
    "an attribute with the name of a raw fact",
    "  app: { type: semver",
    "  path: { type: string, from: [{ query: p }] }\n  app: { type: semver",
    [
      '10:3: error: an attribute cannot be named "path": the name is a reserved key of conditions',
      "10:3: warning: no release uses attribute path",
    ],
  ],
  [
    "an attribute's name with a blank",
    "app: { type: semver",
    "app version: { type: semver",
    [
      '10:3: error: "app version" is not an attribute\'s name: use letters, digits, - and _, a letter first, at most 64 characters',
      '30:47: error: unknown attribute "app"',
    ],
  ],
  [
    "a name in upper case",
    "name: second",
    "name: Second",
    ['29:15: error: "Second" is not a name: use a-z, 0-9 and dashes, at most 63 characters'],
  ],
  [
    "two rules with the same name",
    "name: second",
    "name: first",
    ['29:15: error: another rule of this release is already named "first"'],
  ],
  [
    "two routes with the same name",
    "  - name: shop\n    service",
    "  - name: api\n    service",
    ['38:11: error: another route is already named "api"'],
  ],
  [
    "a route with the name that metrics use for requests without a route",
    "name: api",
    "name: none",
    ['34:11: error: a route cannot be named "none": metrics use it for requests without a route'],
  ],
  [
    "two listeners with the same name and address",
    "    address: 0.0.0.0:8080",
    "    address: 0.0.0.0:8080\n  - name: web\n    address: 0.0.0.0:8080",
    [
      '4:11: error: another listener is already named "web"',
      '5:14: error: listener "web" already uses the address 0.0.0.0:8080',
    ],
  ],
  [
    "the admin server on a listener's address",
    "services:",
    "admin: { address: 0.0.0.0:8080, withoutToken: probes-and-metrics }\nservices:",
    ['12:19: error: listener "web" already uses the address 0.0.0.0:8080'],
  ],
  [
    "a pin with the name of an override's cookie",
    "cookie: version",
    "cookie: pin",
    ['24:44: error: the cookie "pin" is already the pin of release shop'],
  ],
  [
    "a pin with the name of an attribute's cookie",
    "cookie: uid",
    "cookie: pin",
    ['6:67: error: the cookie "pin" is already the pin of release shop'],
  ],
  [
    "a pin with the name of another release's pin",
    "routes:",
    "  other: { sticky: { cookie: { name: pin, secretFile: pins.secret } } }\nroutes:",
    ['33:38: error: the cookie "pin" is already the pin of release shop', "33:3: warning: no route uses release other"],
  ],
];

describe("names", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
