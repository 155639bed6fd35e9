import { corsResponseFields } from "../../http/header-names.ts";
import { listenerSchema } from "../sections/listener.ts";
import { releaseSchema } from "../sections/release.ts";
import { routeSchema } from "../sections/route.ts";
import { serviceSchema } from "../sections/service.ts";
import { problemWith } from "./accepts.ts";
import {
  type Draft,
  type DraftParts,
  type DraftRoute,
  type DraftService,
  isYamlMap,
  lossOf,
  type YamlMap,
  type YamlValue,
} from "./draft.ts";
import { whoServesInstead } from "./later-routes.ts";
import { writtenListeners } from "./written-listeners.ts";

/**
 * The draft without what a configuration does not accept, such as a time limit of a year: a setting is left out, and
 * a route with an invalid match or service as a whole. Each is noted.
 */
export function usableParts(draft: Draft): DraftParts {
  const problems = new Map<string, string>();
  for (const service of draft.services) {
    const problem = problemOf(service);
    if (problem === undefined) continue;
    problems.set(service.name, problem);
    draft.note(`service ${service.name}`, `${problem}: left out, with its routes`);
  }
  const closed = invalidListeners(draft);
  const routes = keptRoutes(draft.routes, draft, (route) => {
    const ofListener = problemOfListeners(route, draft, closed);
    if (ofListener !== undefined) return ofListener;
    const ofService = problems.get(route.service ?? "");
    return ofService === undefined ? problemOfMatch(route) : `its service has no usable endpoint (${ofService})`;
  });
  const { services, releases, listeners, ...others } = partsOf(draft, routes);
  return {
    ...others,
    listeners: listeners.filter(({ name }) => !closed.has(name)),
    services: services.map((service) => {
      const versions = { only: { endpoints: ["http://127.0.0.1:80"] } };
      const validate = (settings: YamlMap) => problemWith(serviceSchema, { versions, ...settings });
      return { ...service, settings: validSettings(service.settings, validate, `service ${service.name}`, draft) };
    }),
    releases: releases.map((release) => {
      const validate = (settings: YamlMap) => problemWith(releaseSchema, settings);
      return { ...release, settings: validSettings(release.settings, validate, release.comment, draft) };
    }),
    routes: routes.map((route) => withValidSettings(withoutListenersOf(route, closed), draft)),
  };
}

/** The names of listeners that a configuration does not accept, such as those of port 70000. Each is noted. */
function invalidListeners(draft: Draft): ReadonlySet<string> {
  const written = writtenListeners(draft.listeners);
  const invalid = draft.listeners.filter(({ name, where }, index) => {
    const problem = problemWith(listenerSchema, written[index]?.settings);
    if (problem !== undefined) draft.note(where, `the listener ${name} is left out: ${problem}`);
    return problem !== undefined;
  });
  return new Set(invalid.map(({ name }) => name));
}

/** The parts without these routes, which have a problem. */
export function withoutRoutes(parts: DraftParts, problems: ReadonlyMap<DraftRoute, string>, draft: Draft): DraftParts {
  if (problems.size === 0) return parts;
  return partsOf(
    parts,
    keptRoutes(parts.routes, draft, (route) => problems.get(route)),
  );
}

/** The parts without the routes that are for these listeners alone. */
export function withoutListeners(parts: DraftParts, closed: ReadonlySet<string>, draft: Draft): DraftParts {
  const kept = keptRoutes(parts.routes, draft, (route) => problemOfListeners(route, parts, closed));
  return partsOf(
    parts,
    kept.map((route) => withoutListenersOf(route, closed)),
  );
}

/** If none of the listeners with requests for the route is left. */
function problemOfListeners(
  { match }: DraftRoute,
  all: Pick<DraftParts, "listeners">,
  closed: ReadonlySet<string>,
): string | undefined {
  const named = match["listeners"];
  const listeners = Array.isArray(named) ? named.map(String) : all.listeners.map(({ name }) => name);
  const isClosed = listeners.length > 0 && listeners.every((name) => closed.has(name));
  return isClosed ? `its listener ${listeners.join(", ")} is left out` : undefined;
}

function withoutListenersOf(route: DraftRoute, closed: ReadonlySet<string>): DraftRoute {
  const named = route.match["listeners"];
  if (!Array.isArray(named)) return route;
  return { ...route, match: { ...route.match, listeners: named.filter((name) => !closed.has(String(name))) } };
}

/** These routes, with the services and releases that they use. */
export function partsOf(all: DraftParts, routes: readonly DraftRoute[]): DraftParts {
  const services = new Set(routes.map(({ service }) => service));
  const releases = new Set(routes.map(({ release }) => release));
  return {
    listeners: all.listeners,
    attributes: all.attributes,
    services: all.services.filter(({ name }) => services.has(name)),
    releases: all.releases.filter(({ name }) => releases.has(name)),
    routes,
  };
}

/** The routes without a problem. Each of the others is noted, with the route that may serve its requests instead. */
function keptRoutes(
  routes: readonly DraftRoute[],
  draft: Draft,
  problemOfRoute: (route: DraftRoute) => string | undefined,
): DraftRoute[] {
  const problems = routes.map(problemOfRoute);
  return routes.filter((route, index) => {
    const problem = problems[index];
    if (problem === undefined) return true;
    const later = routes.filter((_, other) => other > index && problems[other] === undefined);
    const instead = whoServesInstead(route, later);
    draft.leftOut(route.comment, `the route ${route.name} is left out, as ${problem}; ${instead}`);
    return false;
  });
}

function problemOf({ versions }: DraftService): string | undefined {
  const named = Object.fromEntries(versions.map((one) => [one.name, { endpoints: one.endpoints, ...one.settings }]));
  return problemWith(serviceSchema, { versions: named });
}

function problemOfMatch({ match, service, settings }: DraftRoute): string | undefined {
  const { redirect } = settings;
  const target: YamlMap = redirect === undefined ? { service: service ?? "none" } : { redirect };
  return problemWith(routeSchema, { name: "route", match, ...target });
}

function withValidSettings(route: DraftRoute, draft: Draft): DraftRoute {
  const { redirect, ...others } = route.settings;
  const validate = (one: YamlMap) => problemWith(routeSchema, { name: "route", service: "service", ...one });
  const kept = besideCors(validSettings(others, validate, route.comment, draft), route.comment, draft);
  return { ...route, settings: redirect === undefined ? kept : { redirect, ...kept } };
}

/** `cors` sets some response headers itself, so edits of them are left out. */
function besideCors(settings: YamlMap, where: string, draft: Draft): YamlMap {
  const { cors, responseHeaders, ...others } = settings;
  if (cors === undefined || !isYamlMap(responseHeaders)) return settings;
  const edits = Object.entries(responseHeaders).flatMap(([operation, fields]): [string, YamlValue][] => {
    if (!isYamlMap(fields)) return [[operation, fields]];
    const kept = Object.entries(fields).filter(([name]) => !corsResponseFields.includes(name));
    for (const name of Object.keys(fields).filter((one) => corsResponseFields.includes(one))) {
      draft.note(where, `the edit of the response header ${name} is left out: cors sets it`);
    }
    return kept.length === 0 ? [] : [[operation, Object.fromEntries(kept)]];
  });
  return { ...others, cors, ...(edits.length === 0 ? {} : { responseHeaders: Object.fromEntries(edits) }) };
}

/** Settings whose parts each mean the same without the others, so that an invalid one is left out alone. */
const divisible: ReadonlySet<string> = new Set(["timeouts", "limits", "outlier", "retries", "fault"]);

function validSettings(
  settings: YamlMap,
  validate: (settings: YamlMap) => string | undefined,
  where: string,
  draft: Draft,
): YamlMap {
  const kept = Object.entries(settings).flatMap(([key, value]): [string, YamlValue][] => {
    const problem = validate({ [key]: value });
    if (problem === undefined) return [[key, value]];
    const { valid, problems } = partsIn(key, value, validate);
    const isUsable = Object.keys(valid).length > 0 && validate({ [key]: valid }) === undefined;
    if (!isUsable) draft.note(where, `${key} is left out: ${problem}`, lossOf(key === "rateLimit"));
    else for (const [part, why] of problems) draft.note(where, `${key}.${part} is left out: ${why}`);
    return isUsable ? [[key, valid]] : [];
  });
  return Object.fromEntries(kept);
}

/** The valid parts of a setting, and the problems of the others. */
function partsIn(
  key: string,
  value: YamlValue,
  validate: (settings: YamlMap) => string | undefined,
): { readonly valid: YamlMap; readonly problems: ReadonlyMap<string, string> } {
  const valid: Record<string, YamlValue> = {};
  const problems = new Map<string, string>();
  for (const [part, one] of divisible.has(key) && isYamlMap(value) ? Object.entries(value) : []) {
    const problem = validate({ [key]: { [part]: one } });
    if (problem === undefined) valid[part] = one;
    else problems.set(part, problem);
  }
  return { valid, problems };
}
