import type { PathMatch, RouteMatch } from "../route/route-match.ts";
import type { RouteSpec } from "./compiled-config.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import type { RouteConfig } from "./route-schema.ts";
import { operandKey } from "./unreachable-rules.ts";

/** Warns of routes whose every request is taken by routes before them. */
export function warnUnreachableRoutes(
  configs: readonly RouteConfig[],
  routes: readonly RouteSpec[],
  reading: Reading,
): void {
  const coverage = new Coverage();
  const seen = new Map<string, string>();
  for (const [index, { name, match }] of routes.entries()) {
    const config = configs[index];
    const key = matchKey(match);
    const before = coverage.coveredBy(match) ?? seen.get(key);
    if (before !== undefined && config !== undefined) {
      const message = `route ${quote(name)} is never reached: route ${quote(before)} before it takes its requests`;
      reading.warn(reading.spanOf(config, "name"), "unreachable", message);
    }
    if (!seen.has(key)) seen.set(key, name);
    coverage.add(name, match);
  }
}

/** Stands for every host, as a key among hosts. */
const everyHost = "*";

/** The paths that routes without further conditions take on one host, each with the first route that does. */
interface CoveredPaths {
  readonly exact: Map<string, string>;
  readonly prefix: Map<string, string>;
  readonly regex: Map<string, string>;
}

/**
 * What the routes so far take whole. Looked up by host and by the segments of a path, since comparing ten thousand
 * routes each with each would take seconds.
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

  /** The first of the routes that together take all of this match's hosts and paths; undefined where none do. */
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

/** The host itself, every wildcard that takes it, and the key for every host. */
function* hostsAround(host: string): Generator<string> {
  yield host;
  const bare = host.startsWith("*.") ? host.slice(2) : host;
  for (let dot = bare.indexOf("."); dot !== -1; dot = bare.indexOf(".", dot + 1)) yield `*${bare.slice(dot)}`;
  if (host !== everyHost) yield everyHost;
}

/** A missing path is the prefix `/`, and a trailing slash of a prefix changes nothing. */
function pathKey(path: PathMatch | undefined): ["exact" | "prefix" | "regex", string] {
  if (path === undefined) return ["prefix", ""];
  if (path.kind === "regex") return ["regex", path.pattern.source];
  return [path.kind, path.kind === "prefix" ? path.path.replace(/\/+$/, "") : path.path];
}

function coveringPath(paths: CoveredPaths, path: PathMatch | undefined): string | undefined {
  const [kind, text] = pathKey(path);
  const same = kind === "prefix" ? undefined : paths[kind].get(text);
  if (same !== undefined) return same;
  // Which paths a regular expression finds can not be told: only a route for all of them covers it.
  if (kind === "regex") return paths.prefix.get("");
  for (let end = text.length; end !== -1; end = end === 0 ? -1 : text.lastIndexOf("/", end - 1)) {
    const route = paths.prefix.get(text.slice(0, end));
    if (route !== undefined) return route;
  }
  return undefined;
}

/** A text that is the same for matches that ask the same. */
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
