import { compilePattern } from "../../pattern.ts";
import { headerName, queryName, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap, YamlValue } from "../draft.ts";
import { SourceObject } from "../source-object.ts";

/** One match of an HTTPRoute rule, with the properties that determine its precedence. */
export interface HttpRouteMatch {
  readonly match: YamlMap;
  readonly pathRank: number;
  readonly pathLength: number;
  readonly methods: number;
  readonly headers: number;
  readonly query: number;
}

export interface RankedMatch extends HttpRouteMatch {
  /** Empty: any host. */
  readonly host: string;
}

/** Why a match has no equivalent. */
interface Problem {
  readonly problem: string;
}

type Tests = Record<string, YamlValue>;

const anyRequest = new SourceObject({});

/**
 * All matches of a rule. A rule without matches applies to all requests. A match that Perch cannot express is left out
 * and noted: without the part that it lacks it would match more requests.
 */
export function matchesOf(
  rule: SourceObject,
  hosts: readonly string[],
  where: string,
  draft: Draft,
): readonly HttpRouteMatch[] {
  const matches = rule.objects("matches");
  return (matches.length === 0 ? [anyRequest] : matches).flatMap((match) => {
    const found = readMatch(match, hosts);
    const unread = match.unread();
    const problem =
      "problem" in found ? found.problem : unread.length === 0 ? undefined : `${unread.join(", ")}: no equivalent`;
    if (problem === undefined && !("problem" in found)) return [found];
    draft.leftOut(where, `${problem}, so ${match.path} is left out; later routes match its requests`);
    match.dismiss();
    return [];
  });
}

function readMatch(match: SourceObject, hosts: readonly string[]): HttpRouteMatch | Problem {
  const path = match.object("path");
  const type = path.text("type") || "PathPrefix";
  const value = path.text("value") || "/";
  const method = match.text("method");
  const tested = pathMatch(type, value);
  if ("problem" in tested) return tested;
  const headers = readTests(match.objects("headers"), (name) =>
    accepts(headerName, name) ? name.toLowerCase() : undefined,
  );
  if ("problem" in headers) return headers;
  const query = readTests(match.objects("queryParams"), (name) => (accepts(queryName, name) ? name : undefined));
  if ("problem" in query) return query;
  const counts = { headers: Object.keys(headers.tests).length, query: Object.keys(query.tests).length };
  return {
    match: {
      ...(hosts.length === 0 ? {} : { hosts }),
      ...tested.match,
      ...(method === "" ? {} : { methods: [method] }),
      ...(counts.headers === 0 ? {} : { headers: headers.tests }),
      ...(counts.query === 0 ? {} : { query: query.tests }),
    },
    pathRank: type === "Exact" ? 0 : 1,
    pathLength: value.length,
    methods: method === "" ? 0 : 1,
    ...counts,
  };
}

function pathMatch(type: string, value: string): { readonly match: YamlMap } | Problem {
  if (type === "RegularExpression") {
    const compiled = compilePattern(value);
    if ("problem" in compiled) return notRe2(value, compiled.problem);
    // Implementation-specific in Gateway API; Envoy and NGINX match the whole path.
    return { match: { path: { regex: `^(?:${value})$` } } };
  }
  if (!accepts(urlPath, value)) return { problem: `${value} is not a path` };
  if (type === "Exact") return { match: { path: { exact: value } } };
  if (type !== "PathPrefix") return { problem: `a path of the type ${type} has no equivalent` };
  const prefix = value.length > 1 ? value.replace(/\/+$/, "") : value;
  return { match: prefix === "/" || prefix === "" ? {} : { path: { prefix } } };
}

function readTests(
  list: readonly SourceObject[],
  nameOf: (name: string) => string | undefined,
): { readonly tests: Tests } | Problem {
  const tests: Tests = {};
  for (const test of list) {
    const name = nameOf(test.text("name"));
    const value = test.text("value");
    const type = test.text("type");
    if (name === undefined) return { problem: `${test.path} has a name without an equivalent` };
    // Of entries with equivalent names only the first is used (Gateway API, HTTPHeaderMatch).
    if (Object.hasOwn(tests, name)) continue;
    if (type === "" || type === "Exact") {
      tests[name] = { equals: value };
      continue;
    }
    if (type !== "RegularExpression") return { problem: `${test.path} is of type ${type}, which has no equivalent` };
    const compiled = compilePattern(value);
    if ("problem" in compiled) return notRe2(value, compiled.problem);
    tests[name] = { regex: `^(?:${value})$` };
  }
  return { tests };
}

function notRe2(pattern: string, problem: string): Problem {
  return { problem: `the pattern ${pattern} is not valid RE2 syntax (${problem})` };
}

/**
 * The precedence that Gateway API defines: the more specific host, exact paths, longer prefixes, a method, more
 * headers, more query parameters.
 */
export function byPrecedence(a: RankedMatch, b: RankedMatch): number {
  return (
    hostRank(a.host) - hostRank(b.host) ||
    b.host.length - a.host.length ||
    a.pathRank - b.pathRank ||
    b.pathLength - a.pathLength ||
    b.methods - a.methods ||
    b.headers - a.headers ||
    b.query - a.query
  );
}

function hostRank(host: string): number {
  if (host === "") return 2;
  return host.startsWith("*.") ? 1 : 0;
}
