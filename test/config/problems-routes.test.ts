import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "./valid-config.ts";

const lastRoute = "  - name: shop\n    service: shop\n    release: shop\n";

/** What is wrong with a last route, its keys but the name, and every problem that is then told. */
const cases: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "a service beside a redirect",
    "service: shop, redirect: { path: /new }",
    ['38:33: error: "service" and "redirect" exclude each other in a route'],
  ],
  [
    "a release beside a redirect",
    "release: shop, redirect: { scheme: ftp }",
    [
      '38:18: error: "release" has no use beside a redirect, which Perch answers itself',
      '38:53: error: expected http or https, found "ftp"',
    ],
  ],
  [
    "a redirect to nowhere",
    "redirect: { status: 301 }",
    ["38:28: error: a redirect needs at least one of the keys scheme, host, port, path, prefix"],
  ],
  [
    "a redirect with a status that is none",
    "redirect: { path: /new, status: 304 }",
    ['38:50: error: expected 301, 302, 303, 307 or 308, found "304"'],
  ],
  [
    "a redirect to many hosts",
    'redirect: { host: "*.example.com" }',
    ['38:36: error: "*.example.com" is many hosts; one is needed here'],
  ],
  [
    "a redirect to a host with a port",
    "redirect: { host: example.com:8080 }",
    ['38:36: error: "example.com:8080" is not a host; leave the port out'],
  ],
  [
    "a redirect with a path and a prefix",
    "match: { path: { prefix: /a } }, redirect: { path: /new, prefix: /b }",
    ['38:75: error: "path" and "prefix" exclude each other in a redirect'],
  ],
  [
    "a redirect's prefix where no prefix is matched",
    "match: { path: { exact: /a } }, redirect: { prefix: /b }",
    [
      '38:62: error: there is no prefix to put another one in place of: the route matches no prefix; write match.path as a prefix, or "path" here',
    ],
  ],
  [
    "a redirect's path with a query",
    'redirect: { path: "/new?a=b" }',
    ['38:36: error: "/new?a=b" is not a path: it must begin with /; percent-encode ?, # and all but visible ASCII'],
  ],
  [
    "a redirect to itself",
    "redirect: { scheme: https }",
    [
      '38:18: warning: route "last" redirects to itself: a client would go round in circles; match.scheme tells http from https',
    ],
  ],
  [
    "a redirect to itself, by another host that the route takes too",
    "match: { path: { exact: /a } }, redirect: { host: www.example.com }",
    ['38:50: warning: route "last" redirects to itself: a client would go round in circles'],
  ],
  [
    "a path that leads above the root",
    'match: { path: { prefix: "/a/../../b" } }, service: shop',
    ['38:43: error: "/a/../../b" is a path that no request is let through with'],
  ],
  ["a redirect that leads to a route before it", "redirect: { host: shop.example.com, path: /api/x }", []],
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
