import { describe, expect, test } from "vitest";
import { matchesOfRule, type RuleSyntax } from "../../../../src/config/import/traefik/rule-matches.ts";

const matches = (rule: string, syntax: RuleSyntax = "v3") =>
  matchesOfRule(rule, syntax).matches.map(({ match }) => match);

test("names of tests in other spellings", () => {
  const upper = matchesOfRule("HOST(`a.example.com`) && pathprefix(`/api`)", "v3");
  expect(upper).toEqual(matchesOfRule("Host(`a.example.com`) && PathPrefix(`/api`)", "v3"));
});

test("several paths of version 2 are alternatives", () => {
  const several = matchesOfRule("Method(`GET`) && PathPrefix(`/a`, `/b`)", "v2");
  expect(several).toEqual(matchesOfRule("Method(`GET`) && (PathPrefix(`/a`) || PathPrefix(`/b`))", "v2"));
  expect(several.matches).toHaveLength(2);
});

describe("rules that routes can express", () => {
  test.each([
    ["a host", "Host(`Shop.example.com`)", [{ hosts: ["shop.example.com"] }]],
    ["quotes for backticks", 'Host("shop.example.com")', [{ hosts: ["shop.example.com"] }]],
    ["an exact path", "Path(`/cart`)", [{ path: { exact: "/cart" } }]],
    ["a prefix, by characters", "PathPrefix(`/api`)", [{ path: { regex: "^/api" } }]],
    ["every path", "PathPrefix(`/`)", [{}]],
    ["a pattern of paths, unanchored", "PathRegexp(`\\.png$`)", [{ path: { regex: "\\.png$" } }]],
    ["a method", "Method(`post`)", [{ methods: ["POST"] }]],
    ["headers", "Header(`X-Canary`, `always`)", [{ headers: { "x-canary": { equals: "always" } } }]],
    ["a pattern of headers", "HeaderRegexp(`x-app`, `^4`)", [{ headers: { "x-app": { regex: "^4" } } }]],
    ["an absent header", "!HeaderRegexp(`x-app`, `.*`)", [{ headers: { "x-app": { exists: false } } }]],
    ["a parameter", "Query(`debug`, `1`)", [{ query: { debug: { equals: "1" } } }]],
    ["a parameter without a value", "Query(`debug`)", [{ query: { debug: { equals: "" } } }]],
    ["any host below, without a start", "HostRegexp(`.+\\.example\\.com$`)", [{ hosts: ["*.example.com"] }]],
    ["any host below", "HostRegexp(`^.+\\.example\\.com$`)", [{ hosts: ["*.example.com"] }]],
    [
      "a host and any host below",
      "HostRegexp(`^(.+\\.)?example\\.com$`)",
      [{ hosts: ["*.example.com", "example.com"] }],
    ],
    [
      "listed hosts",
      "HostRegexp(`^(www|shop)\\.example\\.com$`)",
      [{ hosts: ["www.example.com", "shop.example.com"] }],
    ],
    [
      "hosts with ||, which are one route",
      "Host(`a.example`) || Host(`b.example`)",
      [{ hosts: ["a.example", "b.example"] }],
    ],
    [
      "&& before ||",
      "Host(`a.example`) && Path(`/x`) || Path(`/y`)",
      [{ hosts: ["a.example"], path: { exact: "/x" } }, { path: { exact: "/y" } }],
    ],
    [
      "parentheses",
      "Host(`a.example`) && (Path(`/x`) || Path(`/y`))",
      [
        { hosts: ["a.example"], path: { exact: "/x" } },
        { hosts: ["a.example"], path: { exact: "/y" } },
      ],
    ],
    ["a double negation", "!(!(Path(`/x`)))", [{ path: { exact: "/x" } }]],
    ["a prefix within a prefix", "PathPrefix(`/a`) && PathPrefix(`/a/b`)", [{ path: { regex: "^/a/b" } }]],
  ])("%s: %s", (_what, rule, wanted) => {
    expect(matches(rule)).toEqual(wanted);
    expect(matchesOfRule(rule, "v3").problems).toEqual([]);
  });

  test.each([
    ["several arguments are alternatives", "Host(`a.example`, `b.example`)", [{ hosts: ["a.example", "b.example"] }]],
    ["a template of hosts", "HostRegexp(`{name:.+}.example.com`)", [{ hosts: ["*.example.com"] }]],
    ["a template of paths", "Path(`/items/{id:[0-9]+}`)", [{ path: { regex: "^/items/(?:[0-9]+)$" } }]],
    ["a placeholder", "PathPrefix(`/u/{name}/x`)", [{ path: { regex: "^/u/(?:[^/]+)/x" } }]],
    ["headers", "Headers(`x-a`, `1`)", [{ headers: { "x-a": { equals: "1" } } }]],
    [
      "parameters, which all have to hold",
      "Query(`a=1`, `b=2`)",
      [{ query: { a: { equals: "1" }, b: { equals: "2" } } }],
    ],
  ])("version 2: %s: %s", (_what, rule, wanted) => {
    expect(matches(rule, "v2")).toEqual(wanted);
  });
});

describe("what a route cannot express is left out, instead of matching more", () => {
  test.each([
    ["the opposite of a path", "Host(`a.example`) && !PathPrefix(`/api`)", "!PathPrefix(`/api`)"],
    ["an address", "ClientIP(`10.0.0.0/8`)", "ClientIP(`10.0.0.0/8`)"],
    ["hosts that end so", "HostRegexp(`example\\.com$`)", "without ^ and $ others match too"],
    ["hosts that begin so", "HostRegexp(`^.+\\.example\\.com`)", "without ^ and $ others match too"],
    ["one label of a host", "HostRegexp(`^[a-z]+\\.example\\.com$`)", "Perch has no patterns for hosts"],
    ["an unknown test", "Weather(`sunny`)", "Weather(`sunny`): no equivalent"],
    ["a wildcard in Host", "Host(`*.example.com`)", "*.example.com is not a host"],
    ["braces in version 3", "Path(`/items/{id}`)", "with `syntax: v2` they are a pattern"],
    ["look-ahead", "PathRegexp(`^/(?!api)`)", "not valid RE2 syntax"],
    ["two paths that exclude each other", "Path(`/a`) && Path(`/b`)", "beside another test of the path"],
    ["two hosts that exclude each other", "Host(`a.example`) && Host(`b.example`)", "no host meets all tests"],
    ["two values of one header", "Header(`a`, `1`) && Header(`a`, `2`)", "two tests of a in one alternative"],
    ["two headers in one test", "Header(`a`, `1`, `b`, `2`)", "a test of a header has a name and a value"],
    ["a header without a pattern", "HeaderRegexp(`a`)", "a test of a header has a name and a value"],
    ["a parameter without a pattern", "QueryRegexp(`a`)", "it has a name and a pattern"],
    ["a rule that does not end", "Host(`a.example`", "a ) is missing"],
    ["no rule", "", "the end is not a test"],
    ["text without a test", "/prefix", "cannot be read"],
    [
      "too many alternatives",
      Array.from({ length: 9 }, () => "(Path(`/a`) || Path(`/b`))").join(" && "),
      "more than 200",
    ],
    ["a deep rule", `${"!".repeat(1_000)}Path(\`/a\`)`, "nested too deeply"],
  ])("%s: %s", (_what, rule, problem) => {
    const found = matchesOfRule(rule, "v3");
    expect(found.matches).toEqual([]);
    expect(found.problems.join("\n")).toContain(problem);
  });

  test("the other alternatives stay", () => {
    const { matches: found, problems } = matchesOfRule("Path(`/a`) || !Path(`/b`)", "v3");
    expect(found.map(({ match }) => match)).toEqual([{ path: { exact: "/a" } }]);
    expect(problems).toHaveLength(1);
  });
});
