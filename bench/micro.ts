/** Timings of single stages, in this process: decisions and route lookups. */
import { type Goal, goal } from "./goal.ts";
import type { RouteKey } from "./micro-config.ts";
import { type DecisionTiming, type PinState, timeDecisions } from "./micro-decisions.ts";
import { userCount } from "./micro-requests.ts";
import { type RouteTiming, routeCounts, timeRoutes } from "./micro-routes.ts";
import { figure, formatTable } from "./table.ts";
import type { Timing, TimingBudget } from "./timing.ts";

export interface MicroReport {
  readonly users: number;
  readonly decisions: readonly DecisionTiming[];
  readonly routes: readonly RouteTiming[];
  readonly goals: readonly Goal[];
}

/**
 * The maximum factor of a lookup with a thousand times the routes: caches are colder, but routes are not tried in turn.
 */
const routeGrowthAtMost = 100;

export function runMicro(budget: TimingBudget): MicroReport {
  const decisions = timeDecisions(budget);
  const routes = timeRoutes(budget);
  return { users: userCount, decisions, routes, goals: goalsOf(decisions, routes) };
}

function goalsOf(decisions: readonly DecisionTiming[], routes: readonly RouteTiming[]): readonly Goal[] {
  const decideUs = (pin: PinState) => {
    const tenRules = decisions.filter((timing) => timing.rules === 10 && timing.pin === pin);
    return Math.max(...tenRules.map(({ decide }) => decide.medianNs)) / 1000;
  };
  const routeNs = (key: RouteKey, count: number) =>
    routes.find((timing) => timing.key === key && timing.routes === count)?.medianNs ?? Number.NaN;
  const [, few, many] = routeCounts;
  const growth = (key: RouteKey) => routeNs(key, many) / routeNs(key, few);
  return [
    goal("a decision with 10 rules, without a pin", "µs", 1, decideUs("none")),
    goal("a decision with 10 rules and a pin to verify", "µs", 2, decideUs("known")),
    goal(`a look-up in ${many} routes by host, to one in ${few}`, "×", routeGrowthAtMost, growth("host")),
    goal(`a look-up in ${many} routes by prefix, to one in ${few}`, "×", routeGrowthAtMost, growth("prefix")),
  ];
}

export function microTables({ decisions, routes, users }: MicroReport): string {
  const pair = ({ medianNs, minNs }: Timing) => [figure(medianNs, 0), figure(minNs, 0)];
  const decisionRows = decisions.map(({ rules, lastRule, pin, decide, identifyAndDecide }) => [
    `${rules} rules${rules === 0 ? "" : `, the last ${lastRule}`}, ${pinWords[pin]}`,
    ...pair(decide),
    ...pair(identifyAndDecide),
  ]);
  const routeRows = routes.map((timing) => [`${timing.routes} routes by ${timing.key}`, ...pair(timing)]);
  return [
    `ns a decision, over ${users} users (median and quickest batch)`,
    formatTable(["", "decide", "min", "identify + decide", "min"], decisionRows),
    "",
    "ns a route look-up",
    formatTable(["", "look-up", "min"], routeRows),
  ].join("\n");
}

const pinWords: Readonly<Record<PinState, string>> = {
  none: "no pin",
  known: "pin seen before",
  unknown: "pin never seen",
};
