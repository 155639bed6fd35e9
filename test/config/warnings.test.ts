import { describe, expect, test } from "vitest";
import { changed, load, problemsOf, validConfig } from "./valid-config.ts";

const rules = "    rules:\n";
const apiMatch = "{ hosts: [shop.example.com], path: { prefix: /api } }";

/** The case, the text to replace, its replacement, and all warnings that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "a rule after one that always matches",
    rules,
    `${rules}      - { name: all, when: {}, use: stable }\n`,
    [
      '27:15: warning: rule "first" is never reached: rule "all" before it always matches',
      '30:15: warning: rule "second" is never reached: rule "all" before it always matches',
    ],
  ],
  [
    "a pin that browsers drop on a route's hosts",
    "path: /,",
    "path: /, domain: other.example,",
    ['23:45: warning: browsers drop the pin on route "api": none of its hosts is other.example or below'],
  ],
  ["no warning about a pin for a parent domain", "path: /,", "path: /, domain: example.com,", []],
  [
    "a pin that browsers do not send on a route's path",
    "path: /,",
    "path: /ap,",
    ['23:34: warning: browsers send no pin on route "api": its path /api is not below /ap'],
  ],
  ["no warning about a pin for part of a route's paths", "path: /,", "path: /api/v1,", []],
  [
    "a rule after a hundred per cent",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ percent: 100, any: [{ userId: ada }, { not: { percent: 0 } }] }",
    [
      "7:3: warning: no release uses attribute orders",
      "8:3: warning: no release uses attribute staff",
      '29:15: warning: rule "second" is never reached: rule "first" before it always matches',
    ],
  ],
  [
    "a rule that has the same condition in another order",
    rules,
    `${rules}      - name: early\n        when: { staff: "1", orders: { atLeast: 3.0 }, userId: { equals: ada } }\n        use: stable\n`,
    ['29:15: warning: rule "first" is never reached: rule "early" before it has the same condition'],
  ],
  [
    "no warning about equal percentages, since the rule's name is the seed",
    rules,
    `${rules}      - { name: one, when: { percent: 10 }, use: stable }\n      - { name: two, when: { percent: 10 }, use: canary }\n`,
    [],
  ],
  [
    "equal percentages with the same seed",
    rules,
    `${rules}      - { name: one, when: { percent: 10, seed: s }, use: stable }\n      - { name: two, when: { percent: { of: 10, seed: s } }, use: canary }\n`,
    ['27:17: warning: rule "two" is never reached: rule "one" before it has the same condition'],
  ],
  [
    "a route behind one for the same host and a shorter prefix",
    "  - name: shop\n    service",
    "  - name: deep\n    match: { hosts: [shop.example.com], path: { exact: /api/x }, methods: [GET] }\n    service: shop\n    release: shop\n  - name: shop\n    service",
    ['38:11: warning: route "deep" is never reached: route "api" before it matches all its requests'],
  ],
  [
    "a route behind one without a match",
    "  - name: api\n    match",
    "  - { name: any, service: shop }\n  - name: api\n    match",
    [
      '35:11: warning: route "api" is never reached: route "any" before it matches all its requests',
      '39:11: warning: route "shop" is never reached: route "any" before it matches all its requests',
    ],
  ],
  [
    "a route behind a wildcard for its host",
    apiMatch,
    '{ hosts: ["*.com"] }\n    service: shop\n  - name: deep\n    match: { hosts: ["*.example.com", a.b.com], path: { regex: x } }',
    ['37:11: warning: route "deep" is never reached: route "api" before it matches all its requests'],
  ],
  [
    "no warning about a route with a second host that no other route matches",
    apiMatch,
    '{ hosts: ["*.com"] }\n    service: shop\n  - name: deep\n    match: { hosts: [a.com, a.org] }',
    [],
  ],
  [
    "no warning about the parent domain of a wildcard",
    apiMatch,
    '{ hosts: ["*.example.com"] }\n    service: shop\n  - name: deep\n    match: { hosts: [example.com] }',
    [],
  ],
  [
    "no warning about a prefix that ends within a segment",
    apiMatch,
    "{ path: { prefix: /api } }\n    service: shop\n  - name: deep\n    match: { path: { prefix: /apix } }",
    [],
  ],
  [
    "a prefix that differs only by its trailing slash",
    apiMatch,
    "{ path: { prefix: /api/ } }\n    service: shop\n  - name: deep\n    match: { path: { prefix: /api } }",
    ['37:11: warning: route "deep" is never reached: route "api" before it matches all its requests'],
  ],
  [
    "no warning about a route behind a more specific one",
    apiMatch,
    "{ methods: [GET] }\n    service: shop\n  - name: deep\n    match: { path: { exact: /x } }",
    [],
  ],
  [
    "a route that has the same condition as one before it",
    apiMatch,
    "{ methods: [GET, PUT], headers: { x-a: [a, b] } }\n    service: shop\n  - name: deep\n    match: { methods: [put, get], headers: { X-A: { in: [b, a] } } }",
    ['37:11: warning: route "deep" is never reached: route "api" before it matches all its requests'],
  ],
  [
    "a service that no route uses",
    "services:\n",
    'services:\n  spare: { versions: { stable: { endpoints: ["http://spare:80"] } } }\n',
    ["13:3: warning: no route uses service spare"],
  ],
  [
    "a release that no route uses, whose versions are those of any service",
    "releases:\n",
    "releases:\n  spare: { sticky: { cookie: { secretFile: pins.secret } }, split: { canary: 1 } }\n",
    ["20:3: warning: no route uses release spare"],
  ],
  [
    "an attribute that no release uses",
    "attributes:\n",
    "attributes:\n  spare: { type: string, from: [{ header: x-spare }] }\n",
    ["6:3: warning: no release uses attribute spare"],
  ],
  [
    "an override without allowFrom and secretFile",
    ", allowFrom: [10.0.0.0/8] }",
    " }",
    ["24:15: warning: this override cannot be used: it has neither allowFrom nor secretFile"],
  ],
  [
    "a release without a secretFile",
    ", secretFile: pins.secret",
    "",
    [
      "20:3: warning: release shop has no secretFile: its pins are signed with a random secret, which works for one instance and is lost on restart; set sticky.cookie.secretFile",
    ],
  ],
  [
    "an endpoint that is listed twice",
    '["http://shop-stable:80"]',
    '["http://shop-stable:80", "HTTP://SHOP-STABLE"]',
    ["16:28: warning: version stable of service shop lists an endpoint twice; the duplicate is ignored"],
  ],
  [
    "a source that trusts proxies without trustedProxies",
    "trustedProxies: [10.0.0.0/8]\n",
    "",
    ["7:60: warning: trustedProxies is empty, so this source is never used"],
  ],
];

describe("warnings", () => {
  test("a version in the split that a paired service does not have", () => {
    const pages = '  pages: { versions: { stable: { endpoints: ["http://pages:80"] } } }\nreleases:\n';
    const route = "  - { name: pages, match: { hosts: [p.example] }, service: pages, release: shop }\n  - name: shop\n";
    const text = changed("releases:\n", pages).replace("  - name: shop\n", route);
    expect(problemsOf(load(text))).toEqual([
      "33:26: warning: service pages without version canary will serve the default version instead",
    ]);
  });

  test("a valid configuration has none", () => {
    expect(problemsOf(load(validConfig))).toEqual([]);
  });

  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    const result = load(changed(find, replacement));
    expect(problemsOf(result)).toEqual(wanted);
    expect(result.ok).toBe(true);
  });
});
