import type { RequestFacts } from "../identify/request-facts.ts";
import type { Route, Snapshot } from "./snapshot.ts";

/**
 * The route that takes a request. `ambiguous` where servers read the path in two ways, and the other way leads to another
 * route: whoever forwarded it could be made to pass what that route keeps out (path confusion).
 */
export function findRoute(
  { config, routes }: Snapshot,
  facts: RequestFacts,
  nowMs: number,
): Route | "ambiguous" | undefined {
  const route = routes.find(facts, nowMs);
  const path = config.pathNormalisation === "on" ? facts.otherPath : undefined;
  if (path === undefined) return route;
  const { method, host, isHttps } = facts;
  const header = (name: string) => facts.header(name);
  const query = (name: string) => facts.query(name);
  return routes.find({ method, host, isHttps, path, header, query }, nowMs) === route ? route : "ambiguous";
}
