import { headerName, hostText, queryName, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap, YamlValue } from "../draft.ts";
import type { Hostname } from "../hostnames.ts";
import { re2Problem } from "../re2-problem.ts";
import { SourceObject } from "../source-object.ts";

/** One match of a rule. */
export interface RuleMatch {
  /** Without hosts. */
  readonly match: YamlMap;
  /** The host that the match itself requires; empty if it does not. */
  readonly host: Hostname;
  /** What determines its precedence, the most important number first; the greater one comes first. */
  readonly rank: readonly number[];
}

/** Why a match has no equivalent. */
export interface MatchProblem {
  readonly problem: string;
}

type Tests = Record<string, YamlValue>;

/** The match of a rule without matches. */
export const anyRequest = new SourceObject({});

/**
 * All matches of a rule. A rule without matches applies to all requests. A match that Perch cannot express is left out
 * and noted: without the part that it lacks it would match more requests.
 */
export function matchesOf(
  rule: SourceObject,
  read: (match: SourceObject) => RuleMatch | MatchProblem,
  where: string,
  draft: Draft,
): readonly RuleMatch[] {
  const matches = rule.objects("matches");
  if (matches.length === 0 && hasEntries(rule.peek("matches"))) {
    draft.leftOut(where, `${rule.path}.matches is not a list of matches, so the rule is left out`);
    rule.dismiss();
    return [];
  }
  return (matches.length === 0 ? [anyRequest] : matches).flatMap((match) => {
    const found = read(match);
    const unread = match.unread();
    const problem =
      "problem" in found ? found.problem : unread.length === 0 ? undefined : `${unread.join(", ")}: no equivalent`;
    if (problem === undefined && !("problem" in found)) return [found];
    draft.leftOut(where, `${problem}, so ${match.path} is left out; later routes match its requests`);
    match.dismiss();
    return [];
  });
}

/** Whether something is set that is not an empty list. */
export const hasEntries = (value: unknown): boolean =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

/**
 * A match of an HTTPRoute. Its rank is the precedence that Gateway API defines: exact paths, longer prefixes, a method,
 * more headers, more query parameters.
 */
export function readHttpMatch(match: SourceObject): RuleMatch | MatchProblem {
  const path = match.object("path");
  const type = path.text("type") || "PathPrefix";
  const value = path.text("value") || "/";
  const method = match.text("method");
  const tested = pathMatch(type, value);
  if ("problem" in tested) return tested;
  const headers = readHeaders(match);
  if ("problem" in headers) return headers;
  const query = readTests(match.objects("queryParams"), (name) => (accepts(queryName, name) ? name : undefined));
  if ("problem" in query) return query;
  const counts = { headers: match.objects("headers").length, query: Object.keys(query.tests).length };
  return {
    match: {
      ...tested.match,
      ...(method === "" ? {} : { methods: [method] }),
      ...headers.match,
      ...(counts.query === 0 ? {} : { query: query.tests }),
    },
    host: headers.host,
    rank: [type === "Exact" ? 1 : 0, value.length, method === "" ? 0 : 1, counts.headers, counts.query],
  };
}

/** The header tests of a match. One of the exact host is a condition on the host. */
export function readHeaders(match: SourceObject): { readonly match: YamlMap; readonly host: Hostname } | MatchProblem {
  const written = match.objects("headers");
  const isHost = (test: SourceObject) => /^(?::authority|host)$/i.test(test.text("name"));
  const [authority] = written.filter(isHost);
  const host = authority === undefined ? "" : exactHost(authority);
  if (host === undefined) {
    return { problem: `${authority?.path}: a test of the host that is not one host without a port has no equivalent` };
  }
  const headers = readTests(
    written.filter((test) => !isHost(test)),
    (name) => (accepts(headerName, name) ? name.toLowerCase() : undefined),
  );
  if ("problem" in headers) return headers;
  return { match: Object.keys(headers.tests).length === 0 ? {} : { headers: headers.tests }, host };
}

function exactHost(test: SourceObject): Hostname | undefined {
  const type = test.text("type");
  const value = test.text("value").toLowerCase();
  return (type === "" || type === "Exact") && accepts(hostText, value) ? value : undefined;
}

function pathMatch(type: string, value: string): { readonly match: YamlMap } | MatchProblem {
  if (type === "RegularExpression") {
    const problem = re2Problem(value);
    if (problem !== undefined) return { problem };
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
): { readonly tests: Tests } | MatchProblem {
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
    const problem = re2Problem(value);
    if (problem !== undefined) return { problem };
    tests[name] = { regex: `^(?:${value})$` };
  }
  return { tests };
}
