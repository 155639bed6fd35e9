import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PatternMeter } from "../../src/decide/pattern.ts";
import type { RoutableRequest } from "../../src/route/path-index.ts";
import type { PathMatch, RouteMatch } from "../../src/route/route-spec.ts";
import { RouteTable } from "../../src/route/route-table.ts";

const anything: RouteMatch = {
  listeners: [],
  hosts: [],
  scheme: undefined,
  path: undefined,
  methods: [],
  headers: [],
  query: [],
};

interface Given {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly listener?: string;
  readonly isHttps?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
}

function request({
  method = "GET",
  host = "shop.example.com",
  path = "/",
  listener = "web",
  isHttps = false,
  headers = {},
  query = {},
}: Given): RoutableRequest {
  return {
    method,
    host,
    path,
    listener,
    isHttps,
    isRooted: path.startsWith("/"),
    header: (name) => headers[name],
    query: (name) => query[name],
    patterns: new PatternMeter(),
    patternSkipped: () => {},
  };
}

function prefix(path: string): PathMatch {
  return { kind: "prefix", path };
}

function exact(path: string): PathMatch {
  return { kind: "exact", path };
}

function regex(source: string): PathMatch {
  const expression = new RegExp(source);
  return { kind: "regex", pattern: { source, sureLength: 100, test: (text: string) => expression.test(text) } };
}

/** The targets are the routes' positions. */
function tableOf(matches: readonly Partial<RouteMatch>[]): RouteTable<number> {
  return new RouteTable(matches.map((match, target) => ({ match: { ...anything, ...match }, target })));
}

describe("one route", () => {
  const cases: readonly [sentence: string, match: Partial<RouteMatch>, given: Given, takes: boolean][] = [
    ["without conditions matches every request", {}, { method: "PURGE", path: "/x" }, true],
    ["matches its prefix", { path: prefix("/api") }, { path: "/api" }, true],
    ["matches paths below its prefix", { path: prefix("/api") }, { path: "/api/x/y" }, true],
    ["matches its prefix with a trailing slash", { path: prefix("/api") }, { path: "/api/" }, true],
    ["does not match inside a segment", { path: prefix("/api") }, { path: "/apix" }, false],
    ["does not match paths above its prefix", { path: prefix("/api/v1") }, { path: "/api" }, false],
    ["ignores a trailing slash of its prefix", { path: prefix("/api/") }, { path: "/api" }, true],
    ["does not match inside a segment then either", { path: prefix("/api/") }, { path: "/apix" }, false],
    ["matches every path by the prefix /", { path: prefix("/") }, { path: "/anything" }, true],
    ["matches the path / by the prefix /", { path: prefix("/") }, { path: "/" }, true],
    ["compares paths case-sensitively", { path: prefix("/api") }, { path: "/API" }, false],
    ["does not decode paths", { path: prefix("/api") }, { path: "/%61pi" }, false],
    ["matches its exact path", { path: exact("/a/b") }, { path: "/a/b" }, true],
    ["does not match its exact path with a trailing slash", { path: exact("/a/b") }, { path: "/a/b/" }, false],
    ["does not match its exact path in another case", { path: exact("/a/b") }, { path: "/a/B" }, false],
    ["matches paths that its regex matches", { path: regex("^/v[0-9]+/") }, { path: "/v12/x" }, true],
    ["does not match paths that its regex does not", { path: regex("^/v[0-9]+/") }, { path: "/vx/x" }, false],
    ["matches its host", { hosts: ["a.example"] }, { host: "a.example" }, true],
    ["matches its host written in capitals", { hosts: ["A.Example"] }, { host: "a.example" }, true],
    ["does not match another host", { hosts: ["a.example"] }, { host: "b.example" }, false],
    ["matches any of its hosts", { hosts: ["a.example", "b.example"] }, { host: "b.example" }, true],
    ["matches a host below its wildcard", { hosts: ["*.example.com"] }, { host: "a.example.com" }, true],
    ["matches a host several labels below", { hosts: ["*.example.com"] }, { host: "a.b.example.com" }, true],
    ["does not match the wildcard's domain itself", { hosts: ["*.example.com"] }, { host: "example.com" }, false],
    ["does not match the wildcard inside a label", { hosts: ["*.example.com"] }, { host: "myexample.com" }, false],
    ["does not match the wildcard with an empty label", { hosts: ["*.example.com"] }, { host: ".example.com" }, false],
    ["matches any host by the host *", { hosts: ["*"] }, { host: "" }, true],
    ["matches one of its methods", { methods: ["GET", "PUT"] }, { method: "PUT" }, true],
    ["does not match other methods", { methods: ["GET"] }, { method: "POST" }, false],
    ["for GET does not match HEAD", { methods: ["GET"] }, { method: "HEAD" }, false],
    ["compares methods case-sensitively, as RFC 9110 does", { methods: ["GET"] }, { method: "get" }, false],
    [
      "matches a header that passes its test",
      { headers: [{ name: "X-Beta", test: { op: "equals", value: "on" } }] },
      { headers: { "x-beta": "on" } },
      true,
    ],
    [
      "does not match a header that fails its test",
      { headers: [{ name: "x-beta", test: { op: "equals", value: "on" } }] },
      {},
      false,
    ],
    [
      "matches the absence of a header",
      { headers: [{ name: "x-beta", test: { op: "exists", wanted: false } }] },
      {},
      true,
    ],
    [
      "matches a query parameter that passes its test",
      { query: [{ name: "v", test: { op: "prefix", texts: ["2."] } }] },
      { query: { v: "2.1" } },
      true,
    ],
    [
      "does not match if one of two conditions fails",
      { methods: ["GET"], query: [{ name: "v", test: { op: "exists", wanted: true } }] },
      {},
      false,
    ],
    ["without a path matches the target *", {}, { method: "OPTIONS", path: "*" }, true],
    ["with the prefix / does not match the target *", { path: prefix("/") }, { method: "OPTIONS", path: "*" }, false],
    [
      "with a longer prefix does not match it either",
      { path: prefix("/api") },
      { method: "OPTIONS", path: "*" },
      false,
    ],
  ];
  test.each(cases)("%s", (_sentence, match, given, takes) => {
    expect(tableOf([match]).find(request(given), 0)).toBe(takes ? 0 : undefined);
  });
});

describe("of several routes the first in file order wins", () => {
  const cases: readonly [sentence: string, matches: readonly Partial<RouteMatch>[], given: Given, wanted: number][] = [
    ["a short prefix before a longer one", [{ path: prefix("/") }, { path: prefix("/api") }], { path: "/api" }, 0],
    ["a longer prefix before a short one", [{ path: prefix("/api") }, { path: prefix("/") }], { path: "/api" }, 0],
    ["any host before an exact one", [{}, { hosts: ["a.example"] }], { host: "a.example" }, 0],
    ["an exact host before any", [{ hosts: ["a.example"] }, {}], { host: "a.example" }, 0],
    [
      "a wide wildcard before a narrow one",
      [{ hosts: ["*.example"] }, { hosts: ["*.b.example"] }],
      { host: "a.b.example" },
      0,
    ],
    [
      "a narrow wildcard before a wide one",
      [{ hosts: ["*.b.example"] }, { hosts: ["*.example"] }],
      { host: "a.b.example" },
      0,
    ],
    ["a regex before an exact path", [{ path: regex("a") }, { path: exact("/a") }], { path: "/a" }, 0],
    ["an exact path before a regex", [{ path: exact("/a") }, { path: regex("a") }], { path: "/a" }, 0],
    ["the next, if the first has another method", [{ methods: ["PUT"] }, {}], {}, 1],
    [
      "the next of the same path, if the first has another method",
      [
        { path: prefix("/a"), methods: ["PUT"] },
        { path: prefix("/a"), methods: ["GET"] },
      ],
      { path: "/a/b" },
      1,
    ],
    [
      "the shorter prefix, if the longer fails on its header",
      [
        { path: prefix("/a/b"), headers: [{ name: "x", test: { op: "exists", wanted: true } }] },
        { path: prefix("/a") },
      ],
      { path: "/a/b/c" },
      1,
    ],
    [
      "any host, if the exact one fails on its path",
      [{ hosts: ["a.example"], path: exact("/x") }, {}],
      { host: "a.example" },
      1,
    ],
  ];
  test.each(cases)("%s", (_sentence, matches, given, wanted) => {
    expect(tableOf(matches).find(request(given), 0)).toBe(wanted);
  });
});

test("an empty table matches nothing", () => {
  expect(tableOf([]).find(request({}), 0)).toBeUndefined();
});

/** A reference implementation that tries every route. */
function scan(matches: readonly RouteMatch[], given: RoutableRequest): number | undefined {
  const index = matches.findIndex(
    ({ listeners, hosts, scheme, path, methods, headers }) =>
      (listeners.length === 0 || listeners.includes(given.listener)) &&
      (hosts.length === 0 || hosts.some((host) => hostTakes(host, given.host))) &&
      (scheme === undefined || (scheme === "https") === given.isHttps) &&
      (path === undefined || pathTakes(path, given.path)) &&
      (methods.length === 0 || methods.includes(given.method)) &&
      headers.every(({ name }) => given.header(name) !== undefined),
  );
  return index < 0 ? undefined : index;
}

function hostTakes(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  return host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
}

function pathTakes(match: PathMatch, path: string): boolean {
  if (match.kind === "exact") return match.path === path;
  if (match.kind === "regex") return match.pattern.test(path) === true;
  const start = match.path.endsWith("/") ? match.path.slice(0, -1) : match.path;
  return (start !== "" && path === start) || path.startsWith(`${start}/`);
}

const label = fc.constantFrom("a", "b", "ab");
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const hostPattern = fc.tuple(fc.boolean(), host).map(([wild, name]) => (wild ? `*.${name}` : name));
const segments = fc.array(fc.constantFrom("a", "b", "ab", "A", ""), { maxLength: 4 });
const path = fc.oneof(
  { weight: 20, arbitrary: segments.map((parts) => `/${parts.join("/")}`) },
  { weight: 1, arbitrary: fc.constant("*") },
);
const pathMatch = fc.option(
  fc.oneof(path.map(exact), path.map(prefix), fc.constantFrom("^/a", "b$", "ab").map(regex)),
  { nil: undefined },
);
const method = fc.constantFrom("GET", "PUT", "HEAD");
const listener = fc.constantFrom("web", "internal");
const routeMatch: fc.Arbitrary<RouteMatch> = fc.record({
  listeners: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.tuple(listener) }),
  hosts: fc.array(hostPattern, { maxLength: 2 }),
  scheme: fc.constantFrom(undefined, undefined, "http" as const, "https" as const),
  path: pathMatch,
  methods: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(method, { maxLength: 2 }) },
  ),
  headers: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constant([{ name: "x-beta", test: { op: "exists" as const, wanted: true } }]) },
  ),
  query: fc.constant([]),
});
const anyRequest = fc
  .record({
    method,
    host,
    path,
    listener,
    isHttps: fc.boolean(),
    headers: fc.constantFrom<Record<string, string>[]>({}, { "x-beta": "1" }),
  })
  .map(request);

test("the index agrees with trying every route", () => {
  fc.assert(
    fc.property(
      fc.array(routeMatch, { maxLength: 40 }),
      fc.array(anyRequest, { minLength: 1, maxLength: 20 }),
      (matches, all) => {
        const table = tableOf(matches);
        for (const given of all) expect(table.find(given, 0)).toBe(scan(matches, given));
      },
    ),
    { numRuns: 1500 },
  );
});

test("each of ten thousand routes with distinct hosts, paths and prefixes is found by testing one candidate", () => {
  const matches = Array.from({ length: 10_000 }, (_, index): Partial<RouteMatch> => {
    const shapes: readonly Partial<RouteMatch>[] = [
      { hosts: [`shop-${index}.example.com`] },
      { hosts: [`*.shop-${index}.example.com`], path: prefix("/") },
      { path: prefix(`/service-${index}/v1`) },
      { path: exact(`/page-${index}`) },
    ];
    return { ...shapes[index % 4], methods: ["GET"] };
  });
  const table = tableOf(matches);
  for (let index = 0; index < matches.length; index++) {
    let tested = 0;
    const given: readonly Given[] = [
      { host: `shop-${index}.example.com` },
      { host: `www.shop-${index}.example.com`, path: "/x" },
      { path: `/service-${index}/v1/orders` },
      { path: `/page-${index}` },
    ];
    // Every route has a method condition, so reads of the method count the tested candidates.
    const counted = {
      ...request(given[index % 4] ?? {}),
      get method() {
        tested++;
        return "GET";
      },
    };
    expect(table.find(counted, 0)).toBe(index);
    expect(tested).toBe(1);
  }
});
