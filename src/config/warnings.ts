import { withoutTrailingSlash } from "../decide/path-prefix.ts";
import { PatternMeter } from "../decide/pattern.ts";
import { changePath, type PathMatch, type RedirectSpec, type RouteMatch } from "../route/route-spec.ts";
import { RouteTable } from "../route/route-table.ts";
import type { KnownAttributes } from "./compile-context.ts";
import type { RouteSpec } from "./compiled-config.ts";
import { operandKey, whyImpossible } from "./condition-truth.ts";
import type { Config } from "./schema.ts";
import type { Entry } from "./schema-kit/collections.ts";
import { formatDuration } from "./schema-kit/scalars.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
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
  const from = path === undefined || path.kind === "regex" ? "/" : path.path;
  const requestPath = redirect.path === undefined ? from : changePath(redirect.path, from);
  return {
    method: match.methods[0] ?? "GET",
    host: redirect.host ?? match.hosts[0]?.replace("*", "any") ?? "",
    path: requestPath,
    isRooted: requestPath.startsWith("/"),
    // A redirect to another scheme mostly leads to another listener; which, the configuration does not say.
    listener: redirect.scheme === undefined ? (match.listeners[0] ?? "") : "",
    isHttps: (redirect.scheme ?? match.scheme) === "https",
    header: () => undefined,
    query: () => undefined,
    patterns: new PatternMeter(),
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

/** Warns of paths that look like patterns, and of tests that no request meets. */
export function warnMisreadMatches(
  configs: readonly RouteConfig[],
  routes: readonly RouteSpec[],
  parsing: ParseContext,
): void {
  for (const [index, config] of configs.entries()) {
    const { path } = config.match;
    for (const kind of ["prefix", "exact"] as const) {
      const problem = path?.[kind] === undefined ? undefined : literalPath(path[kind], kind);
      if (path !== undefined && problem !== undefined) parsing.warn(parsing.spanOf(path, kind), "risky", ...problem);
    }
    // Before `$` it may be meant: any number of slashes at the end.
    if (path?.regex !== undefined && /(?<!\\)\/\*(?!\$)/.test(path.regex)) {
      const message = `"/*" in regex repeats the slash, and matches nothing after it`;
      parsing.warn(parsing.spanOf(path, "regex"), "risky", message, "write /.* for all paths below");
    }
    const { headers, query, path: compiled } = routes[index]?.match ?? { headers: [], query: [], path: undefined };
    const patterns = compiled?.kind === "regex" ? [compiled.pattern] : [];
    const paths = patterns.map((pattern) => ({ subject: { kind: "path" }, test: { op: "regex", pattern } }) as const);
    const named = [
      headers.map((test) => ({ kind: "header", ...test }) as const),
      query.map((test) => ({ kind: "query", ...test }) as const),
    ];
    const tests = named.flat().map(({ kind, name, test }) => ({ subject: { kind, name }, test }) as const);
    const why = whyImpossible([...paths, ...tests], []);
    if (why === undefined) continue;
    parsing.warn(parsing.spanOf(config, "name"), "unreachable", `route ${quote(config.name)} never matches: ${why}`);
  }
}

/** Text that looks like a placeholder is matched literally. */
function literalPath(path: string, kind: "prefix" | "exact"): [message: string, suggestion: string] | undefined {
  const part = /\*|(?<=\/):[A-Za-z]\w*(?=\/|$)|\{\w+\}|\^|(?<=.)\$$/.exec(path);
  if (part === null) return undefined;
  const message = `${quote(part[0])} in ${kind} is taken literally: only paths that contain it match`;
  const [, before] = /^([^*{}^$:]*)\/(?:\*{1,2}|\.\*)$/.exec(path) ?? [];
  if (before !== undefined)
    return [message, `write prefix: ${before === "" ? "/" : before}, which matches every path below it`];
  return [message, "use regex for patterns"];
}

/** Warns of ranges that trust everyone. */
export function warnOpenProxies({ trustedProxies }: Config, parsing: ParseContext): void {
  for (const [index, range] of trustedProxies.entries()) {
    if (range === "unix" || !/^[0:.]+\/0$/.test(range.text)) continue;
    const message = `trustedProxies contains ${range.text}, so every client can claim any address and send what only proxies may`;
    parsing.warn(parsing.spanOf(trustedProxies, index), "risky", message, "list the addresses of your proxies");
  }
}

interface TimeoutsConfig {
  readonly connect?: number | undefined;
  readonly responseHeaders: number | undefined;
  readonly idle: number | undefined;
  readonly total: number | undefined;
}

/** Warns of time limits that the total one never lets be reached. */
export function warnShortTotals({ routes, services }: Config, parsing: ParseContext): void {
  for (const { timeouts } of [...routes, ...services.map(({ value }) => value)]) {
    if (timeouts !== undefined) warnShortTotal(timeouts, parsing);
  }
}

function warnShortTotal(timeouts: TimeoutsConfig, parsing: ParseContext): void {
  const { total } = timeouts;
  if (total === undefined || total === 0) return;
  for (const key of ["connect", "responseHeaders", "idle"] as const) {
    const limit = timeouts[key];
    if (limit === undefined || limit <= total || !parsing.has(timeouts, key)) continue;
    const message = `${key} is never reached: total (${formatDuration(total)}) ends the request before`;
    parsing.warn(parsing.spanOf(timeouts, key), "risky", message);
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
    if (match.methods.length + match.headers.length + match.query.length > 0) return;
    if (match.listeners.length > 0 || match.scheme !== undefined) return;
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
  return [path.kind, path.kind === "prefix" ? withoutTrailingSlash(path.path) : path.path];
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
    [...match.listeners].sort(),
    [...match.hosts].sort(),
    match.scheme ?? "",
    pathKey(match.path),
    [...match.methods].sort(),
    tests(match.headers),
    tests(match.query),
  ]);
}
