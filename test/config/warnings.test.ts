import { describe, expect, test } from "vitest";
import { changed, load, problemsOf, validConfig } from "./valid-config.ts";

const rules = "    rules:\n";
const apiMatch = "{ hosts: [shop.example.com], path: { prefix: /api } }";

/** The configuration with these rules before its own. */
const rulesOf = (written: string): string => changed(rules, `    rules:\n${written}`);

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
    "a rule that no request meets: a value that is not in the list beside it",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: { equals: ada, in: [bob, eve] }, orders: 1, staff: true }",
    ['26:15: warning: rule "first" never matches: no value of userId meets both "ada" and one of "bob", "eve"'],
  ],
  [
    "a rule that no request meets: an exact value that fails the prefix beside it",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: { equals: ada, prefix: b }, orders: 1, staff: true }",
    ['26:15: warning: rule "first" never matches: no value of userId meets both "ada" and prefix "b"'],
  ],
  [
    "a rule that no request meets: two values through all",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ orders: 1, staff: true, all: [{ userId: ada }, { all: [{ userId: bob }] }] }",
    ['26:15: warning: rule "first" never matches: no value of userId meets both "ada" and "bob"'],
  ],
  [
    "a rule that no request meets: bounds that leave nothing between them",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: { atLeast: 5, before: 5 }, staff: true }",
    ['26:15: warning: rule "first" never matches: no value of orders meets both before 5 and at least 5'],
  ],
  [
    "a rule that no request meets: a bound beyond the range beside it",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: { between: [1, 3], after: 3 }, staff: true }",
    ['26:15: warning: rule "first" never matches: no value of orders meets both after 3 and between 1 and 3'],
  ],
  [
    "a rule that no request meets: an absent value that is tested",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: { exists: false, prefix: a }, orders: 1, staff: true }",
    ['26:15: warning: rule "first" never matches: no value of userId meets both prefix "a" and absent'],
  ],
  [
    "a rule that no request meets: a semver range without versions",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, app: { semver: ">=5 <4" } }',
    ['26:15: warning: rule "first" never matches: no version is in the range >=5 <4'],
  ],
  [
    "a rule that no request meets: a time that is young and old",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, since: { within: 1d, olderThan: 7d } }",
    [
      '26:15: warning: rule "first" never matches: no value of since meets both in the last 86400 s and older than 604800 s',
    ],
  ],
  [
    "a rule that no request meets: a condition and the same one in not",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, not: { userId: ada } }",
    ['26:15: warning: rule "first" never matches: it has a condition and the same one in not'],
  ],
  [
    "a rule that no request meets: not around what always holds",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, not: { percent: 100 } }",
    ['26:15: warning: rule "first" never matches: its not is true for every request'],
  ],
  [
    "a rule that no request meets: a percentage of 0",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, percent: 0 }",
    ['26:15: warning: rule "first" never matches: its percentage is 0'],
  ],
  [
    "a rule that no request meets: alternatives of which none can hold",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, any: [{ percent: 0 }, { orders: { after: 2, before: 1 } }] }",
    ['26:15: warning: rule "first" never matches: its percentage is 0'],
  ],
  [
    "a rule that no request meets: a host with a port",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, host: "shop.example.com:8080" }',
    [
      '26:15: warning: rule "first" never matches: a host is compared without scheme and port, and literally (shop.example.com:8080)',
    ],
  ],
  [
    "a rule that no request meets: a wildcard for a host",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, host: "*.example.com" }',
    [
      '26:15: warning: rule "first" never matches: a host is compared without scheme and port, and literally (*.example.com)',
    ],
  ],
  [
    "a rule that no request meets: a path without its slash",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, path: { prefix: api } }",
    ['26:15: warning: rule "first" never matches: every path begins with / and has no query (api)'],
  ],
  [
    "a rule that no request meets: a path with a query",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, path: "/api?x=1" }',
    ['26:15: warning: rule "first" never matches: every path begins with / and has no query (/api?x=1)'],
  ],
  [
    "a rule that no request meets: a pattern between slashes",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: { regex: "/^ada$/" }, orders: 1, staff: true }',
    [
      '26:15: warning: rule "first" never matches: nothing is before the begin of the text, which ^ matches: write /^ada$/ without the slashes around it',
    ],
  ],
  [
    "no warning about overlapping bounds",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: { atLeast: 5, atMost: 5 }, staff: true }",
    [],
  ],
  [
    "no warning about one value of several that remains",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: { in: [ada, bob], prefix: b }, orders: 1, staff: true }",
    [],
  ],
  [
    "no warning about an exact prerelease range",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, app: { semver: ">4.1.0-a <4.1.0-b || ^9" } }',
    [],
  ],
  [
    "no warning about a narrow semver range",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, app: { semver: ">4.1.0 <4.1.1" } }',
    [],
  ],
  [
    "no warning about a time that is not too young",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, since: { within: 7d, olderThan: 1d } }",
    [],
  ],
  [
    "no warning about an IPv6 host and a path in general",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: ada, orders: 1, staff: true, host: ["[::1]", "a:1"], path: ["/", x] }',
    [],
  ],
  [
    "no warning about two headers",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    "{ userId: ada, orders: 1, staff: true, header: { x-a: a, x-b: b }, cookie: { x-a: c } }",
    [],
  ],
  [
    "a weight that stands alone in the split",
    "{ stable: 95, canary: 5 }",
    "{ canary: 5 }",
    [
      "32:14: warning: canary is the only version of the split, so it gets 100 % whatever its weight is; write { stable: 95, canary: 5 } for 5 %",
    ],
  ],
  [
    "a weight that stands alone in a rule",
    "{ canary: 10, stable: 90 }",
    "{ canary: 10 }",
    [
      '31:16: warning: canary is the only version of rule "second", so it gets 100 % whatever its weight is; write { stable: 90, canary: 10 } for 10 %',
    ],
  ],
  ["no warning about all of the users", "{ stable: 95, canary: 5 }", "{ canary: 100 }", []],
  ["no warning about one as a weight", "{ stable: 95, canary: 5 }", "{ canary: 1 }", []],
  [
    "a star in a prefix",
    "prefix: /api }",
    'prefix: "/api/*" }',
    [
      '35:57: warning: "*" in prefix is taken literally: only paths that contain it match; write prefix: /api, which matches every path below it',
    ],
  ],
  [
    "a star in a prefix for all paths",
    "prefix: /api }",
    'prefix: "/*" }',
    [
      '35:57: warning: "*" in prefix is taken literally: only paths that contain it match; write prefix: /, which matches every path below it',
    ],
  ],
  [
    "a star in an exact path",
    "prefix: /api }",
    'exact: "/api*" }',
    ['35:56: warning: "*" in exact is taken literally: only paths that contain it match; use regex for patterns'],
  ],
  [
    "a parameter in braces",
    "prefix: /api }",
    'prefix: "/users/{id}/cart" }',
    ['35:57: warning: "{id}" in prefix is taken literally: only paths that contain it match; use regex for patterns'],
  ],
  [
    "a parameter behind a colon",
    "prefix: /api }",
    'exact: "/users/:id" }',
    ['35:56: warning: ":id" in exact is taken literally: only paths that contain it match; use regex for patterns'],
  ],
  [
    "a pattern as a prefix",
    "prefix: /api }",
    'prefix: "/^api" }',
    ['35:57: warning: "^" in prefix is taken literally: only paths that contain it match; use regex for patterns'],
  ],
  ["no warning about a verb and a dollar sign in a path", "prefix: /api }", 'exact: "/v1/$metadata/x:cancel" }', []],
  [
    "a route that no request meets",
    "path: { prefix: /api } }",
    "headers: { x-a: { equals: a, suffix: b } } }",
    ['34:11: warning: route "api" never matches: no value of header x-a meets both "a" and suffix "b"'],
  ],
  [
    "a range that trusts everyone",
    "trustedProxies: [10.0.0.0/8]",
    'trustedProxies: [10.0.0.0/8, 0.0.0.0/0, "::/0"]',
    [
      "4:30: warning: trustedProxies contains 0.0.0.0/0, so every client can claim any address and send what only proxies may; list the addresses of your proxies",
      "4:41: warning: trustedProxies contains ::/0, so every client can claim any address and send what only proxies may; list the addresses of your proxies",
    ],
  ],
  [
    "a time limit above the total one",
    "{ connect: 2s }",
    "{ responseHeaders: 30s, idle: 5s, total: 10s }",
    ["18:34: warning: responseHeaders is never reached: total (10s) ends the request before"],
  ],
  [
    "a costly pattern",
    "{ userId: ada, orders: { atLeast: 3 }, staff: true }",
    '{ userId: { regex: "Android.{0,40}Mobile" }, orders: 1, staff: true }',
    [
      '27:34: warning: the pattern "Android.{0,40}Mobile" can be costly: some texts of more than 327 characters take it over 1 ms, and count as not matching; make its repetitions smaller',
    ],
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

  test.each([
    ["host: other.example.com", "host other.example.com"],
    ["host: [a.example.com, shop.example.org]", undefined],
    ["host: example.org", "host example.org"],
    ["method: { in: [delete, patch] }", "method DELETE or PATCH"],
    ["method: post", undefined],
  ])("a rule with %s, which the release's routes do not have", (test, foreign) => {
    const routes = "{ hosts: [shop.example.com], methods: [GET] }";
    const others = '  - name: shop\n    match: { hosts: ["*.example.org"], methods: [GET, POST] }\n    service';
    const text = changed("{ hosts: [shop.example.com], path: { prefix: /api } }", routes)
      .replace("  - name: shop\n    service", others)
      .replace("staff: true }", `staff: true, ${test} }`);
    const message = `26:15: warning: rule "first" never matches: no route of release shop has the ${foreign}`;
    expect(problemsOf(load(text))).toEqual(foreign === undefined ? [] : [message]);
  });

  test.each([
    ["{ userId: ada }", "{ userId: [ada, bob] }", false],
    ["{ userId: [ada, bob] }", "{ userId: ada }", true],
    ["{ userId: ada }", "{ userId: ada, orders: { atLeast: 3 } }", true],
    ["{ userId: ada, orders: 4 }", "{ userId: ada, orders: { atLeast: 3 } }", false],
    ["{ userId: { exists: true } }", "{ userId: { regex: ^a } }", true],
    ["{ userId: { regex: ^a } }", "{ userId: [ada, alan] }", true],
    ["{ userId: { regex: ^a } }", "{ userId: [ada, bob] }", false],
    ["{ userId: { prefix: a } }", "{ userId: { prefix: [ad, al] } }", true],
    ["{ userId: { prefix: ad } }", "{ userId: { prefix: a } }", false],
    ["{ orders: { atLeast: 3 } }", "{ orders: { atLeast: 10 } }", true],
    ["{ orders: { atLeast: 3 } }", "{ orders: { between: [3, 5] } }", true],
    ["{ orders: { atLeast: 3, atMost: 4 } }", "{ orders: { between: [3, 5] } }", false],
    ["{ orders: { atLeast: 10 } }", "{ orders: { atLeast: 3 } }", false],
    ["{ staff: true, percent: 10 }", "{ staff: true }", false],
    ["{ percent: { of: 10, seed: a } }", "{ staff: true, percent: { of: 10, seed: a } }", true],
  ])("a rule for %s before one for %s: hidden %s", (wide, narrow, isHidden) => {
    const both = [wide, narrow].map((when, at) => `      - { name: r${at}, when: ${when}, use: canary }\n`).join("");
    const found = problemsOf(load(rulesOf(both))).filter((problem) => problem.includes('rule "r1" is'));
    const message = '27:17: warning: rule "r1" is never reached: rule "r0" before it matches all that it could match';
    expect(found).toEqual(isHidden ? [message] : []);
  });

  test.each([
    ['userId: "pro*"', '"*" in "pro*" is taken literally'],
    ['userId: ["^ada$"]', '"^" in "^ada$" is taken literally'],
    ['path: { prefix: "/api/*" }', '"*" in "/api/*" is taken literally'],
    ['userId: { contains: ".*a.*" }', '".*" in ".*a.*" is taken literally'],
    ['path: { regex: "^api/" }', "every path begins with / (^api/)"],
    ['path: { regex: "^/a\\\\?x=1" }', "a path has no query"],
    ['header: { accept: "image/*" }', undefined],
    ['path: { regex: "^/a|^b" }', undefined],
  ])("a rule with %s", (test, wanted) => {
    const found = problemsOf(load(rulesOf(`      - { name: r, when: { ${test} }, use: canary }\n`)));
    expect(found).toEqual(wanted === undefined ? [] : [expect.stringContaining(wanted)]);
  });

  test.each([
    ["/api/*", true],
    ["^/static/*.js", true],
    ["^/api/*$", false],
    ["^/api/.*", false],
    ["^/api/[^/]*/x", false],
  ])("a route with the regex %s: taken for a wildcard %s", (regex, isWarned) => {
    const found = problemsOf(load(changed(apiMatch, `{ hosts: [shop.example.com], path: { regex: "${regex}" } }`)));
    expect(found).toEqual(isWarned ? [expect.stringContaining('"/*" in regex repeats the slash')] : []);
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
