/** The cost of finding a request's route, by the number of routes. */
import { AttributeTable, noLookups } from "../src/identify/attributes.ts";
import { RequestFacts } from "../src/identify/request-facts.ts";
import { RouteTable } from "../src/route/route-table.ts";
import { type RouteKey, routeConfig, routeHost, routePrefix } from "./micro-config.ts";
import { caller, requestHead, userCount } from "./micro-requests.ts";
import { type Timing, type TimingBudget, time } from "./timing.ts";

export interface RouteTiming extends Timing {
  readonly routes: number;
  readonly key: RouteKey;
}

export const routeCounts = [1, 10, 10_000] as const;

export function timeRoutes(budget: TimingBudget): readonly RouteTiming[] {
  return (["host", "prefix"] as const).flatMap((key) =>
    routeCounts.map((routes) => ({ routes, key, ...timeOne(routes, key, budget) })),
  );
}

function timeOne(count: number, key: RouteKey, budget: TimingBudget): Timing {
  const config = routeConfig(count, key);
  const table = new RouteTable(config.routes.map(({ match }, index) => ({ match, target: index })));
  const attributes = new AttributeTable(
    config.attributes,
    { attributeError: () => {}, patternSkipped: () => {} },
    noLookups,
  );
  const nowMs = Date.parse("2026-06-01T12:00:00Z");
  const wanted = Array.from({ length: userCount }, (_, user) => scattered(user) % count);
  const requests = wanted.map((route, user) => {
    const target =
      key === "host"
        ? { host: `${routeHost(route)}:8080`, path: "/api/items" }
        : { host: "shop.example.com", path: `${routePrefix(route)}/items` };
    return new RequestFacts(attributes, requestHead(user, target, undefined), caller, config.trustedProxies, 0);
  });
  requests.forEach((facts, user) => {
    const found = table.find(facts, nowMs);
    if (found !== wanted[user]) throw new Error(`Route ${String(found)} was found instead of ${wanted[user]}.`);
  });
  return time(
    {
      operations: requests.length,
      batch: () => {
        let sum = 0;
        for (const facts of requests) sum += table.find(facts, nowMs) ?? 1;
        return sum;
      },
    },
    budget,
  );
}

/** Knuth's multiplicative hash: consecutive requests are for routes that are far apart in the file. */
function scattered(user: number): number {
  return Math.imul(user, 2_654_435_761) >>> 0;
}
