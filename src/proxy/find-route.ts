import { normalPath } from "../http/path.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import type { Route, Snapshot } from "./snapshot.ts";

/**
 * The route that matches a request. `ambiguous`: servers read the path in two ways, and the other reading matches another
 * route. Forwarding it could bypass the restrictions of that route (path confusion).
 */
export function findRoute(
  { config, routes }: Snapshot,
  facts: RequestFacts,
  nowMs: number,
): Route | "ambiguous" | undefined {
  const route = routes.find(facts, nowMs);
  const paths = config.pathNormalisation === "on" ? facts.otherPaths(config.pathParameters) : normalPaths(facts, route);
  if (paths === undefined) return "ambiguous";
  if (paths.length === 0) return route;
  const { method, host, listener, isHttps } = facts;
  const header = (name: string) => facts.header(name);
  const query = (name: string) => facts.query(name);
  const scope = { patterns: facts.patterns, patternSkipped: () => facts.patternSkipped() };
  const leadsHere = (path: string) =>
    routes.find(
      { method, host, listener, isHttps, path, isRooted: path.startsWith("/"), header, query, ...scope },
      nowMs,
    ) === route;
  return paths.every(leadsHere) ? route : "ambiguous";
}

const noPaths: readonly string[] = Object.freeze([]);

/** The normal form, if the route sends that although routes match the path as written; undefined if there is none. */
function normalPaths({ path }: RequestFacts, route: Route | undefined): readonly string[] | undefined {
  const parameters = route?.upstreamPath?.normalises;
  if (parameters === undefined) return noPaths;
  const normal = normalPath(path, parameters);
  return normal === undefined ? undefined : [normal];
}
