import { compilePattern } from "../pattern.ts";
import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { type Loose, mapIn, mapsIn, textIn } from "./manifests.ts";

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

const anyPath: Loose = { path: { type: "PathPrefix", value: "/" } };

/** All matches of a rule. A rule without matches applies to all requests. */
export function matchesOf(rule: Loose, hosts: readonly string[], where: string, draft: Draft): HttpRouteMatch[] {
  const matches = mapsIn(rule["matches"]);
  return (matches.length === 0 ? [anyPath] : matches).map((match) => readMatch(match, hosts, where, draft));
}

function readMatch(match: Loose, hosts: readonly string[], where: string, draft: Draft): HttpRouteMatch {
  const path = mapIn(match["path"]);
  const type = textIn(path["type"]) || "PathPrefix";
  const value = textIn(path["value"]) || "/";
  const method = textIn(match["method"]);
  const headers = tests(match["headers"], where, draft, (name) => name.toLowerCase());
  const query = tests(match["queryParams"], where, draft, (name) => name);
  return {
    match: {
      ...(hosts.length === 0 ? {} : { hosts }),
      ...pathMatch(type, value),
      ...(method === "" ? {} : { methods: [method] }),
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      ...(Object.keys(query).length === 0 ? {} : { query }),
    },
    pathRank: type === "Exact" ? 0 : 1,
    pathLength: value.length,
    methods: method === "" ? 0 : 1,
    headers: Object.keys(headers).length,
    query: Object.keys(query).length,
  };
}

function pathMatch(type: string, value: string): YamlMap {
  if (type === "Exact") return { path: { exact: value } };
  // Implementation-specific in Gateway API; Envoy and NGINX match the whole path.
  if (type === "RegularExpression") return { path: { regex: `^(?:${value})$` } };
  const prefix = value.length > 1 ? value.replace(/\/+$/, "") : value;
  return prefix === "/" || prefix === "" ? {} : { path: { prefix } };
}

function tests(
  list: unknown,
  where: string,
  draft: Draft,
  nameOf: (name: string) => string,
): Record<string, YamlValue> {
  const found: Record<string, YamlValue> = {};
  for (const test of mapsIn(list)) {
    const name = nameOf(textIn(test["name"]));
    const value = textIn(test["value"]);
    // Of entries with equivalent names only the first is used (Gateway API, HTTPHeaderMatch).
    if (name === "" || Object.hasOwn(found, name)) continue;
    if (textIn(test["type"]) !== "RegularExpression") {
      found[name] = { equals: value };
      continue;
    }
    const compiled = compilePattern(value);
    if ("problem" in compiled) {
      draft.note(
        where,
        `the pattern ${value} is not valid RE2 syntax (${compiled.problem}); the match only requires that ${name} is present`,
      );
      found[name] = { exists: true };
    } else found[name] = { regex: `^(?:${value})$` };
  }
  return found;
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
