import type { RouteSpec } from "../../config/compiled-config.ts";
import { describeFound, describeTest, type Test, tooCostly } from "../../decide/condition.ts";
import type { RoutableRequest } from "../../route/path-index.ts";
import type { PathMatch, RouteMatch } from "../../route/route-spec.ts";
import { RouteTable } from "../../route/route-table.ts";

/** Why a route does not match the request. */
export interface RouteMiss {
  readonly route: string;
  why(): string;
  readonly distance: number;
}

/** The conditions of a match, as text. */
export function describeMatch(match: RouteMatch, facts: RoutableRequest, nowMs: number): string {
  const required = partsOf(match, facts, nowMs).map((part) => part.required());
  return required.length === 0 ? "matches every request" : required.join(", ");
}

/** The routes that do not match the request, the closest first. */
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
  return failed.map(({ required, found }) => `requires ${required()}, the request has ${found()}`).join("; ");
}

/** One condition of a route's match, and whether the request meets it. */
interface Part {
  /** Lazy, because few parts are shown. */
  required(): string;
  found(): string;
  readonly holds: boolean;
  /** Weight of a mismatch in the distance of a route: a different host weighs more than a different method. */
  readonly distance: number;
}

const matchesAll: RouteMatch = {
  listeners: [],
  hosts: [],
  scheme: undefined,
  path: undefined,
  methods: [],
  headers: [],
  query: [],
};

/** Each condition is evaluated by a `RouteTable` of its own, so that the result cannot differ from routing. */
function partsOf(match: RouteMatch, facts: RoutableRequest, nowMs: number): Part[] {
  const holds = (part: Partial<RouteMatch>): boolean =>
    new RouteTable([{ match: { ...matchesAll, ...part }, target: true }]).find(facts, nowMs) ?? false;
  const { listeners, hosts, scheme, path, methods, headers, query } = match;
  const parts: Part[] = [];
  if (listeners.length > 0) {
    const required = () => `listener ${alternatives(listeners)}`;
    parts.push({ required, found: () => facts.listener || "none", holds: holds({ listeners }), distance: 1 });
  }
  if (hosts.length > 0) {
    const found = () => (facts.host === "" ? "no host" : facts.host);
    parts.push({ required: () => `host ${alternatives(hosts)}`, found, holds: holds({ hosts }), distance: 100 });
  }
  if (scheme !== undefined) {
    const found = () => (facts.isHttps ? "https" : "http");
    parts.push({ required: () => `scheme ${scheme}`, found, holds: holds({ scheme }), distance: 1 });
  }
  if (path !== undefined) {
    const required = () => `path ${describePath(path)}`;
    parts.push({ required, found: () => foundPath(path, facts), holds: holds({ path }), distance: 10 });
  }
  if (methods.length > 0) {
    const required = () => `method ${alternatives(methods)}`;
    parts.push({ required, found: () => facts.method, holds: holds({ methods }), distance: 1 });
  }
  for (const header of headers) {
    parts.push(namedPart("header", header, facts, facts.header(header.name), holds({ headers: [header] })));
  }
  for (const parameter of query) {
    parts.push(namedPart("query", parameter, facts, facts.query(parameter.name), holds({ query: [parameter] })));
  }
  return parts;
}

function namedPart(
  kind: string,
  { name, test }: { readonly name: string; readonly test: Test },
  facts: RoutableRequest,
  value: string | undefined,
  holds: boolean,
): Part {
  return {
    required: () => `${kind} ${name} ${describeTest(test)}`,
    found: () => (value === undefined ? "none" : describeFound(test, value, facts)),
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

function foundPath(match: PathMatch, facts: RoutableRequest): string {
  const isCut = match.kind === "regex" && match.pattern.test(facts.path, facts) === undefined;
  return isCut ? `a path that is not matched: ${tooCostly}` : facts.path;
}

function alternatives(texts: readonly string[]): string {
  return texts.join(" or ");
}
