import type { Condition, Test } from "../decide/condition.ts";
import { type AttributeValue, canonicalText } from "../decide/facts.ts";
import type { RuleSpec } from "../decide/release-spec.ts";
import { changePath, type PathMatch, type RedirectSpec, type RouteMatch } from "../route/route-spec.ts";
import { RouteTable } from "../route/route-table.ts";
import type { KnownAttributes } from "./compile-context.ts";
import type { RouteSpec } from "./compiled-config.ts";
import type { Config } from "./schema.ts";
import type { Entry } from "./schema-kit/collections.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
import type { RuleConfig } from "./sections/release.ts";
import type { RouteConfig } from "./sections/route.ts";

/** Warns of definitions that nothing uses, often because a name was changed in one place only. */
export function warnUnused(config: Config, attributes: KnownAttributes, parsing: ParseContext): void {
  const services = new Set(config.routes.map((route) => route.service));
  const releases = new Set(config.routes.map((route) => route.release));
  warn(config.services, (name) => services.has(name), "no route uses service", parsing);
  warn(config.releases, (name) => releases.has(name), "no route uses release", parsing);
  warn(config.attributes, (name) => attributes.isUsed(name), "no release uses attribute", parsing);
}

function warn(
  entries: readonly Entry<unknown>[],
  isUsed: (name: string) => boolean,
  message: string,
  parsing: ParseContext,
): void {
  for (const entry of entries) {
    if (!isUsed(entry.name)) parsing.warn(parsing.keySpanOf(entry), "unused", `${message} ${entry.name}`);
  }
}

/** Warns of redirects to themselves, by looking up the route of one request that each redirect leads to. */
export function warnRedirectLoops(
  configs: readonly RouteConfig[],
  routes: readonly RouteSpec[],
  parsing: ParseContext,
): void {
  if (routes.every(({ redirect }) => redirect === undefined)) return;
  const table = new RouteTable(routes.map((route) => ({ match: route.match, target: route })));
  for (const [index, { name, match, redirect }] of routes.entries()) {
    const config = configs[index];
    if (redirect === undefined || config === undefined) continue;
    if (table.find(redirected(match, redirect), 0)?.name !== name) continue;
    const message = `route ${quote(name)} redirects to itself: clients would loop`;
    const hint = redirect.scheme === undefined ? undefined : "use match.scheme to tell http from https";
    parsing.warn(parsing.keySpanOf(config, "redirect"), "risky", message, hint);
  }
}

/** The request of a client that follows the redirect. */
function redirected(match: RouteMatch, redirect: RedirectSpec) {
  const { path } = match;
  const requestPath = path === undefined || path.kind === "regex" ? "/" : path.path;
  return {
    method: match.methods[0] ?? "GET",
    host: redirect.host ?? match.hosts[0]?.replace("*", "any") ?? "",
    path: redirect.path === undefined ? requestPath : changePath(redirect.path, requestPath),
    isHttps: (redirect.scheme ?? match.scheme) === "https",
    header: () => undefined,
    query: () => undefined,
    patternSkipped: () => undefined,
  };
}

/** Warns of routes that earlier routes shadow completely. */
export function warnUnreachableRoutes(
  configs: readonly RouteConfig[],
  routes: readonly RouteSpec[],
  parsing: ParseContext,
): void {
  const coverage = new Coverage();
  const seen = new Map<string, string>();
  for (const [index, { name, match }] of routes.entries()) {
    const config = configs[index];
    const key = matchKey(match);
    const before = coverage.coveredBy(match) ?? seen.get(key);
    if (before !== undefined && config !== undefined) {
      const message = `route ${quote(name)} is never reached: route ${quote(before)} before it matches all its requests`;
      parsing.warn(parsing.spanOf(config, "name"), "unreachable", message);
    }
    if (!seen.has(key)) seen.set(key, name);
    coverage.add(name, match);
  }
}

/** The key for routes without hosts. */
const everyHost = "*";

/** Paths of one host that are matched unconditionally, each with the first such route. */
interface CoveredPaths {
  readonly exact: Map<string, string>;
  readonly prefix: Map<string, string>;
  readonly regex: Map<string, string>;
}

/**
 * The hosts and paths that the routes so far match unconditionally. Indexed by host and path, since comparing ten
 * thousand routes pairwise would take seconds.
 */
class Coverage {
  readonly #byHost = new Map<string, CoveredPaths>();

  add(route: string, match: RouteMatch): void {
    if (match.methods.length + match.headers.length + match.query.length > 0 || match.scheme !== undefined) return;
    for (const host of match.hosts.length === 0 ? [everyHost] : match.hosts) {
      const paths = this.#byHost.get(host) ?? { exact: new Map(), prefix: new Map(), regex: new Map() };
      this.#byHost.set(host, paths);
      const [kind, text] = pathKey(match.path);
      if (!paths[kind].has(text)) paths[kind].set(text, route);
    }
  }

  /** The first of the routes that together match all hosts and paths of `match`; undefined if some are not covered. */
  coveredBy(match: RouteMatch): string | undefined {
    let first: string | undefined;
    for (const host of match.hosts.length === 0 ? [everyHost] : match.hosts) {
      const route = this.#coveringHost(host, match.path);
      if (route === undefined) return undefined;
      first ??= route;
    }
    return first;
  }

  #coveringHost(host: string, path: PathMatch | undefined): string | undefined {
    for (const wider of hostsAround(host)) {
      const paths = this.#byHost.get(wider);
      const route = paths === undefined ? undefined : coveringPath(paths, path);
      if (route !== undefined) return route;
    }
    return undefined;
  }
}

/** The host itself, every wildcard that matches it, and the key for every host. */
function* hostsAround(host: string): Generator<string> {
  yield host;
  const bare = host.startsWith("*.") ? host.slice(2) : host;
  for (let dot = bare.indexOf("."); dot !== -1; dot = bare.indexOf(".", dot + 1)) yield `*${bare.slice(dot)}`;
  if (host !== everyHost) yield everyHost;
}

/** A missing path equals the prefix `/`. A trailing slash of a prefix has no effect. */
function pathKey(path: PathMatch | undefined): ["exact" | "prefix" | "regex", string] {
  if (path === undefined) return ["prefix", ""];
  if (path.kind === "regex") return ["regex", path.pattern.source];
  return [path.kind, path.kind === "prefix" ? path.path.replace(/\/+$/, "") : path.path];
}

function coveringPath(paths: CoveredPaths, path: PathMatch | undefined): string | undefined {
  const [kind, text] = pathKey(path);
  const same = kind === "prefix" ? undefined : paths[kind].get(text);
  if (same !== undefined) return same;
  // The paths of a regular expression are unknown, so only a route for all paths covers it.
  if (kind === "regex") return paths.prefix.get("");
  for (let end = text.length; end !== -1; end = end === 0 ? -1 : text.lastIndexOf("/", end - 1)) {
    const route = paths.prefix.get(text.slice(0, end));
    if (route !== undefined) return route;
  }
  return undefined;
}

/** A string that is equal for equivalent matches. */
function matchKey(match: RouteMatch): string {
  const tests = (list: RouteMatch["headers"]): unknown[] =>
    list.map(({ name, test }) => JSON.stringify([name, test.op, operandKey(test)])).sort();
  return JSON.stringify([
    [...match.hosts].sort(),
    match.scheme ?? "",
    pathKey(match.path),
    [...match.methods].sort(),
    tests(match.headers),
    tests(match.query),
  ]);
}

/** Warns of rules that can never be the first match: after one that always matches, or after an equivalent one. */
export function warnUnreachableRules(
  configs: readonly RuleConfig[],
  rules: readonly RuleSpec[],
  parsing: ParseContext,
): void {
  const seen = new Map<string, RuleSpec>();
  let always: RuleSpec | undefined;
  for (const [index, rule] of rules.entries()) {
    const config = configs[index];
    const key = conditionKey(rule.when, rule.name);
    const same = seen.get(key);
    const before = always ?? same;
    if (before !== undefined && config !== undefined) {
      const why = always === undefined ? "has the same condition" : "always matches";
      const message = `rule ${quote(rule.name)} is never reached: rule ${quote(before.name)} before it ${why}`;
      parsing.warn(parsing.spanOf(config, "name"), "unreachable", message);
    }
    if (same === undefined) seen.set(key, rule);
    if (truthOf(rule.when) === "always") always ??= rule;
  }
}

/** What is known about a condition without a request. */
function truthOf(condition: Condition): "always" | "never" | "depends" {
  switch (condition.kind) {
    case "all":
      return combine(condition.of, "never", "always");
    case "any":
      return combine(condition.of, "always", "never");
    case "not": {
      const inner = truthOf(condition.of);
      if (inner === "depends") return inner;
      return inner === "always" ? "never" : "always";
    }
    case "percent":
      if (condition.percent <= 0) return "never";
      return condition.percent >= 100 ? "always" : "depends";
    case "test":
      return "depends";
  }
}

/** One `deciding` part decides the whole. If all parts are `neutral`, or there are none, so is the whole. */
function combine<T extends "always" | "never">(parts: readonly Condition[], deciding: T, neutral: T): T | "depends" {
  let all = true;
  for (const part of parts) {
    const truth = truthOf(part);
    if (truth === deciding) return deciding;
    if (truth !== neutral) all = false;
  }
  return all ? neutral : "depends";
}

/** A string that is equal for equivalent conditions, regardless of the order of their parts. */
function conditionKey(condition: Condition, ruleName: string): string {
  switch (condition.kind) {
    case "all":
    case "any": {
      const parts = condition.of.map((part) => conditionKey(part, ruleName)).sort();
      return `${condition.kind}(${[...new Set(parts)].join("")})`;
    }
    case "not":
      return `not(${conditionKey(condition.of, ruleName)})`;
    case "percent":
      // Without a seed the rule's name is the seed, so no two rules are equivalent.
      return JSON.stringify(["percent", condition.percent, condition.seed ?? null, condition.seed ?? ruleName]);
    case "test":
      return JSON.stringify([condition.subject, condition.test.op, operandKey(condition.test)]);
  }
}

/** A test's operand as JSON; lists regardless of order. */
function operandKey(test: Test): unknown {
  switch (test.op) {
    case "equals":
      return [valueKey(test.value)];
    case "in":
      return test.values.map(valueKey).sort();
    case "prefix":
    case "suffix":
    case "contains":
      return [...test.texts].sort();
    case "regex":
      return test.pattern.source;
    case "exists":
      return test.wanted;
    case "between":
      return [test.low, test.high];
    case "within":
    case "olderThan":
      return test.ms;
    case "semver":
      return test.range.source;
    case "cidr":
      return test.ranges.map((range) => range.text).sort();
    case "inFile":
      return test.list.path;
    default:
      return test.bound;
  }
}

const valueKey = (value: AttributeValue): string => `${typeof value} ${canonicalText(value)}`;
