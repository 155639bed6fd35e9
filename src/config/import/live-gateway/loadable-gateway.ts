import type { GatewayListenerParts, GatewayParts } from "../../gateway-parts.ts";
import { culpritsIn } from "../culprits.ts";
import type { Draft, DraftParts, DraftRoute, DraftService } from "../draft.ts";
import { problemsOfRoutes } from "../loadable-parts.ts";
import type { Loose } from "../source-object.ts";
import { withoutListeners, withoutRoutes } from "../usable-parts.ts";

/** What is loaded beside the routes. */
type Beside = Pick<GatewayParts, "bases" | "listeners">;

interface Loading {
  /** The first problem of a configuration with these parts. */
  readonly problemIn: (parts: GatewayParts) => string | undefined;
  /** The older ones first: they stay where some do not load together. */
  readonly byAge: (routes: readonly DraftRoute[]) => readonly DraftRoute[];
  readonly draft: Draft;
}

/** What loads, and what was left out for that. */
export interface LoadableGateway {
  readonly parts: GatewayParts;
  readonly routes: readonly DraftRoute[];
  /** The first of the whole; undefined if nothing was left out. */
  readonly problem: string | undefined;
  readonly problems: ReadonlyMap<DraftRoute, string>;
}

/** Leaves out what does not load, so that it cannot keep the rest from being served. */
export function loadableGateway(all: DraftParts, beside: Beside, loading: Loading): LoadableGateway {
  const { problemIn, byAge, draft } = loading;
  const parts = writtenParts(all, beside);
  const problem = problemIn(parts);
  if (problem === undefined) return { parts, routes: all.routes, problem, problems: new Map() };
  const closed = problemsOfListeners(beside.listeners, problemIn);
  for (const [name, why] of closed) draft.note(`listener ${name}`, `what Gateways say of it is left out: ${why}`);
  const listeners = Object.fromEntries(Object.entries(beside.listeners).filter(([name]) => !closed.has(name)));
  const open = closed.size === 0 ? all : withoutListeners(all, new Set(closed.keys()), draft);
  const write = (some: DraftParts) => writtenParts(some, { ...beside, listeners });
  const problems = problemsOfRoutes(open, byAge(open.routes), (some) => problemIn(write(some)));
  const served = withoutRoutes(open, problems, draft);
  return { parts: write(served), routes: served.routes, problem, problems };
}

/** Which listeners cannot be as Gateways want them, whatever the routes are. */
function problemsOfListeners(
  parts: Readonly<Record<string, GatewayListenerParts>>,
  problemIn: Loading["problemIn"],
): ReadonlyMap<string, string> {
  const none = { listeners: [], attributes: [], services: [], releases: [], routes: [] };
  const problems = culpritsIn(Object.entries(parts), (some) =>
    problemIn(writtenParts(none, { listeners: Object.fromEntries(some), bases: {} })),
  );
  return new Map(Array.from(problems, ([[name], why]) => [name, why]));
}

/** As a configuration has them. */
function writtenParts({ services, releases, routes }: DraftParts, { bases, listeners }: Beside): GatewayParts {
  const written = new Set(releases.map(({ name }) => name));
  return {
    listeners,
    bases: Object.fromEntries(Object.entries(bases).filter(([name]) => written.has(name))),
    services: Object.fromEntries(services.map((one) => [one.name, serviceContents(one)])),
    releases: Object.fromEntries(releases.map(({ name, settings }) => [name, settings])),
    routes: routes.map(({ name, match, service, release, settings }) => ({
      name,
      ...(Object.keys(match).length === 0 ? {} : { match }),
      ...(service === undefined ? {} : { service }),
      ...(release === undefined ? {} : { release }),
      ...settings,
    })),
  };
}

function serviceContents({ versions, settings }: DraftService): Loose {
  const named = versions.map(({ name, endpoints, settings: own }) => [name, { endpoints, ...own }] as const);
  return { versions: Object.fromEntries(named), ...settings };
}
