import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

const lastRoute = "  - name: shop\n    service: shop\n    release: shop\n";

/** The case, the keys of the last route without its name, and all problems that are reported. */
const cases: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "a service with a redirect",
    "service: shop, redirect: { path: /new }",
    ['38:33: error: "service" and "redirect" cannot be used together in a route'],
  ],
  [
    "a release with a redirect",
    "release: shop, redirect: { scheme: ftp }",
    [
      '38:18: error: "release" cannot be combined with a redirect, which forwards nothing',
      '38:53: error: expected http or https, found "ftp"',
    ],
  ],
  [
    "a redirect without a target",
    "redirect: { status: 301 }",
    ["38:28: error: a redirect needs at least one of the keys scheme, host, port, path, prefix"],
  ],
  [
    "a redirect with another status",
    "redirect: { path: /new, status: 304 }",
    ['38:50: error: expected 301, 302, 303, 307 or 308, found "304"'],
  ],
  [
    "a redirect to a wildcard host",
    'redirect: { host: "*.example.com" }',
    ['38:36: error: "*.example.com" is a wildcard; a single host is needed here'],
  ],
  [
    "a redirect to a host with a port",
    "redirect: { host: example.com:8080 }",
    ['38:36: error: "example.com:8080" is not a host; remove the port'],
  ],
  [
    "a redirect with a path and a prefix",
    "match: { path: { prefix: /a } }, redirect: { path: /new, prefix: /b }",
    ['38:75: error: "path" and "prefix" cannot be used together in a redirect'],
  ],
  [
    "a redirect's prefix for a route without a prefix",
    "match: { path: { exact: /a } }, redirect: { prefix: /b }",
    [
      '38:62: error: there is no prefix to replace: the route does not match a prefix; use a prefix in match.path, or "path" here',
    ],
  ],
  [
    "a redirect's path with a query",
    'redirect: { path: "/new?a=b" }',
    [
      '38:36: error: "/new?a=b" is not a path: it must start with /; percent-encode ?, # and everything but visible ASCII',
    ],
  ],
  [
    "a redirect to itself",
    "redirect: { scheme: https }",
    ['38:18: warning: route "last" redirects to itself: clients would loop; use match.scheme to tell http from https'],
  ],
  [
    "a redirect to itself, by another host that the route matches too",
    "match: { path: { exact: /a } }, redirect: { host: www.example.com }",
    ['38:50: warning: route "last" redirects to itself: clients would loop'],
  ],
  [
    "a path above the root",
    'match: { path: { prefix: "/a/../../b" } }, service: shop',
    ['38:43: error: "/a/../../b" is not a valid path: requests with it are rejected'],
  ],
  ["a redirect to an earlier route", "redirect: { host: shop.example.com, path: /api/x }", []],
  [
    "an edit of a framing header",
    "service: shop, requestHeaders: { set: { Content-Length: 1 } }",
    [
      '38:58: error: the header "content-length" cannot be edited: it frames the message or belongs to one connection, and each hop has its own',
    ],
  ],
  [
    "an edit of the Host",
    "service: shop, requestHeaders: { remove: [x-a, Host] }",
    ['38:65: error: the header "host" cannot be edited: the upstream\'s host is chosen by rewrite.host'],
  ],
  [
    "an edit of a header that Perch sets",
    "service: shop, requestHeaders: { add: { x-forwarded-for: a } }, responseHeaders: { set: { x-perch-version: b } }",
    [
      '38:58: error: the header "x-forwarded-for" cannot be edited: Perch writes it from what it knows of the way that the request came',
      '38:108: error: the header "x-perch-version" cannot be edited: Perch alone writes it',
    ],
  ],
  [
    "a template of an unknown fact",
    `service: shop, requestHeaders: { set: { x-a: "\${versoin}" } }`,
    ['38:63: error: unknown template "versoin"; did you mean "version"?'],
  ],
  [
    "a template of an unknown attribute",
    `service: shop, responseHeaders: { add: { x-a: [b, "\${attribute.aap}"] } }`,
    ['38:68: error: unknown attribute "aap"; did you mean "app"?'],
  ],
  [
    "empty edits",
    "service: shop, requestHeaders: {}",
    ["38:49: error: an edit of headers needs at least one of the keys set, add, remove"],
  ],
  [
    "a line break in a header's value",
    'service: shop, requestHeaders: { set: { x-a: "b\\nx-c: d" } }',
    ['38:63: error: "b\\nx-c: d" contains a control character'],
  ],
  [
    "a rewrite of a prefix for a route without a prefix",
    "service: shop, rewrite: { prefix: /b }, match: { path: { regex: a } }",
    [
      '38:44: error: there is no prefix to replace: the route does not match a prefix; use a prefix in match.path, or "path" here',
    ],
  ],
  [
    "a rewrite by an invalid pattern",
    'service: shop, rewrite: { regex: { pattern: "(", replacement: /a } }',
    ['38:62: error: "(" is not a valid regular expression: missing closing ): `(`'],
  ],
  [
    "a rewrite with an unknown group",
    'service: shop, rewrite: { regex: { pattern: "(a)", replacement: /$2 } }',
    ['38:82: error: the pattern "(a)" has no group 2'],
  ],
  [
    "a rewrite that would add a query",
    'service: shop, rewrite: { regex: { pattern: "a", replacement: "/?" } }',
    [
      '38:80: error: "/?" is not valid in a path: percent-encode ?, # and everything but visible ASCII; $1 to $9 are groups, $$ is a dollar sign',
    ],
  ],
  [
    "a rewrite by a pattern and a prefix",
    'service: shop, rewrite: { prefix: /b, regex: { pattern: "a", replacement: "/b" } }',
    ['38:56: error: "regex" and "prefix" cannot be used together in a rewrite'],
  ],
  [
    "a rewrite with an invalid host",
    "service: shop, rewrite: { host: http://shop }",
    ['38:50: error: "http://shop" is not a host such as shop.internal or shop.internal:8080'],
  ],
  [
    "a rewrite with a redirect",
    "redirect: { path: /new }, match: { path: { exact: /a } }, rewrite: { host: b }",
    ['38:76: error: "rewrite" cannot be combined with a redirect, which forwards nothing'],
  ],
  [
    "a rate limit by an unknown attribute",
    "service: shop, rateLimit: { by: userID, requests: 5 }",
    ['38:50: error: unknown attribute "userID"; did you mean "userId"?'],
  ],
  [
    "a rate limit without a number",
    "service: shop, rateLimit: { per: 1m }",
    ['38:44: error: a rate limit needs the key "requests"'],
  ],
  [
    "a rate limit of zero",
    "service: shop, rateLimit: { requests: 0 }",
    ["38:56: error: 0 is too small: the minimum is 1"],
  ],
  ["a fault", "service: shop, fault: { abort: { status: 503 } }", ['38:33: warning: route "last" injects faults']],
  ["an empty fault", "service: shop, fault: {}", ["38:40: error: a fault needs at least one of the keys delay, abort"]],
  [
    "an abort with a success status",
    "service: shop, fault: { abort: { status: 200 } }",
    ["38:59: error: 200 is too small: the minimum is 400", '38:33: warning: route "last" injects faults'],
  ],
  [
    "a delay above the maximum",
    "service: shop, fault: { delay: { for: 2m } }",
    ["38:56: error: 2m is not between 1ms and 1m", '38:33: warning: route "last" injects faults'],
  ],
  [
    "a fault's condition on an unknown attribute",
    "service: shop, fault: { delay: { for: 1s, when: { ap: 1 } } }",
    ['38:68: error: unknown attribute "ap"; did you mean "app"?', '38:33: warning: route "last" injects faults'],
  ],
  [
    "a connect timeout of a route",
    "service: shop, timeouts: { connect: 1s }",
    ['38:45: error: unknown key "connect" in a route\'s timeouts; the keys are responseHeaders, idle, total'],
  ],
  [
    "limits with a redirect",
    "redirect: { path: /new }, match: { path: { exact: /a } }, maxBodySize: 1, rateLimit: { requests: 1 }",
    ['38:76: error: "maxBodySize" cannot be combined with a redirect, which forwards nothing'],
  ],
  ["listeners", "match: { listeners: [web, web] }, service: shop", []],
  [
    "a listener that does not exist",
    "match: { listeners: [wep] }, service: shop",
    ['38:39: error: unknown listener "wep"; did you mean "web"?'],
  ],
  ["a redirect to another scheme", "match: { scheme: http }, redirect: { scheme: https }", []],
];

describe("routes", () => {
  test.each(cases)("%s", (_what, keys, problems) => {
    const result = load(changed(lastRoute, `  - {name: last, ${keys} }\n`));
    expect(problemsOf(result)).toEqual(problems);
  });

  test("a redirect is compiled", () => {
    const keys = 'match: { path: { prefix: /old/ } }, redirect: { host: "WWW.example.com.", prefix: /new/ }';
    const { routes } = compiled(changed(lastRoute, `  - {name: last, ${keys} }\n`));
    expect(routes.at(-1)?.redirect).toEqual({
      status: 302,
      scheme: undefined,
      host: "www.example.com",
      port: undefined,
      path: { kind: "prefix", from: "/old", to: "/new" },
    });
  });
});
