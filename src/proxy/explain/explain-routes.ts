import type { RouteSpec } from "../../config/compiled-config.ts";
import { describeTest, describeValue, type Test } from "../../decide/condition.ts";
import type { RoutableRequest } from "../../route/path-index.ts";
import type { PathMatch, RouteMatch } from "../../route/route-spec.ts";
import { RouteTable } from "../../route/route-table.ts";

/** One condition of a route's match, and whether the request meets it. */
interface Part {
  /** Put into words only for the few parts that are told of. */
  wanted(): string;
  found(): string;
  readonly holds: boolean;
  /** How far off a route is that fails here: another host is a farther cry than another method. */
  readonly distance: number;
}

/** Why a route that does not take the request does not. */
export interface RouteMiss {
  readonly route: string;
  why(): string;
  readonly distance: number;
}

/** What a route wants of the requests that it takes. */
export function describeMatch(match: RouteMatch, facts: RoutableRequest, nowMs: number): string {
  const wanted = partsOf(match, facts, nowMs).map((part) => part.wanted());
  return wanted.length === 0 ? "takes every request" : wanted.join(", ");
}

/** The routes among these that do not take the request, the closest first. */
export function routeMisses(routes: readonly RouteSpec[], facts: RoutableRequest, nowMs: number): RouteMiss[] {
  return routes
    .flatMap(({ name, match }) => {
      const failed = partsOf(match, facts, nowMs).filter((part) => !part.holds);
      const distance = failed.reduce((total, part) => total + part.distance, 0);
      return failed.length === 0 ? [] : [{ route: name, why: () => describeFailed(failed), distance }];
    })
    .sort((one, other) => one.distance - other.distance);
}

function describeFailed(failed: readonly Part[]): string {
  return failed.map(({ wanted, found }) => `wants ${wanted()}, the request has ${found()}`).join("; ");
}

const asksNothing: RouteMatch = { hosts: [], scheme: undefined, path: undefined, methods: [], headers: [], query: [] };

/** A match is the conjunction of its parts; each is judged by the table itself, so that both can not disagree. */
function partsOf(match: RouteMatch, facts: RoutableRequest, nowMs: number): Part[] {
  const holds = (part: Partial<RouteMatch>): boolean =>
    new RouteTable([{ match: { ...asksNothing, ...part }, target: true }]).find(facts, nowMs) ?? false;
  const { hosts, scheme, path, methods, headers, query } = match;
  const parts: Part[] = [];
  if (hosts.length > 0) {
    const found = () => (facts.host === "" ? "no host" : facts.host);
    parts.push({ wanted: () => `host ${either(hosts)}`, found, holds: holds({ hosts }), distance: 100 });
  }
  if (scheme !== undefined) {
    const found = () => (facts.isHttps ? "https" : "http");
    parts.push({ wanted: () => `scheme ${scheme}`, found, holds: holds({ scheme }), distance: 1 });
  }
  if (path !== undefined) {
    const wanted = () => `path ${describePath(path)}`;
    parts.push({ wanted, found: () => facts.path, holds: holds({ path }), distance: 10 });
  }
  if (methods.length > 0) {
    const wanted = () => `method ${either(methods)}`;
    parts.push({ wanted, found: () => facts.method, holds: holds({ methods }), distance: 1 });
  }
  for (const header of headers) {
    parts.push(namedPart("header", header, facts.header(header.name), holds({ headers: [header] })));
  }
  for (const parameter of query) {
    parts.push(namedPart("query", parameter, facts.query(parameter.name), holds({ query: [parameter] })));
  }
  return parts;
}

function namedPart(
  kind: string,
  { name, test }: { readonly name: string; readonly test: Test },
  value: string | undefined,
  holds: boolean,
): Part {
  return {
    wanted: () => `${kind} ${name} ${describeTest(test)}`,
    found: () => (value === undefined ? "none" : describeValue(value)),
    holds,
    distance: 1,
  };
}

function describePath(path: PathMatch): string {
  switch (path.kind) {
    case "exact":
      return path.path;
    case "prefix":
      return `below ${path.path}`;
    case "regex":
      return `matching ${path.pattern.source}`;
  }
}

function either(texts: readonly string[]): string {
  return texts.join(" or ");
}
