import { corsResponseFields } from "../../http/header-names.ts";
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
  type YamlMap,
  type YamlValue,
} from "./draft.ts";

/**
 * The draft without what a configuration does not accept, such as a time limit of a year: a setting is left out, and
 * a route with an invalid match or service as a whole. Each is noted.
 */
export function usableParts(draft: Draft): DraftParts {
  const services = draft.services.filter((service) => hasEndpoints(service, draft));
  const names = new Set(services.map(({ name }) => name));
  const served = draft.routes.filter(({ service }) => service === undefined || names.has(service));
  const routes = served.flatMap((route) => validRoute(route, draft));
  // The versions of a service that was left out are known to no other.
  const used = new Set(routes.map(({ release }) => release));
  const releases = draft.releases.filter(({ name }) => used.has(name));
  return {
    services: services.map((service) => {
      const versions = { only: { endpoints: ["http://127.0.0.1:80"] } };
      const validate = (settings: YamlMap) => problemWith(serviceSchema, { versions, ...settings });
      return { ...service, settings: validSettings(service.settings, validate, `service ${service.name}`, draft) };
    }),
    releases: releases.map((release) => {
      const validate = (settings: YamlMap) => problemWith(releaseSchema, settings);
      return { ...release, settings: validSettings(release.settings, validate, release.comment, draft) };
    }),
    routes,
  };
}

function hasEndpoints({ name, versions }: DraftService, draft: Draft): boolean {
  const named = Object.fromEntries(versions.map((one) => [one.name, { endpoints: one.endpoints, ...one.settings }]));
  const problem = problemWith(serviceSchema, { versions: named });
  if (problem !== undefined) draft.note(`service ${name}`, `${problem}: left out, with its routes`);
  return problem === undefined;
}

function validRoute(route: DraftRoute, draft: Draft): DraftRoute[] {
  const { match, service, settings, comment } = route;
  const { redirect, ...others } = settings;
  const target: YamlMap = redirect === undefined ? { service: service ?? "none" } : { redirect };
  const problem = problemWith(routeSchema, { name: "route", match, ...target });
  if (problem !== undefined) {
    draft.note(comment, `${problem}: the route is left out, so later routes match its requests`);
    return [];
  }
  const validate = (one: YamlMap) => problemWith(routeSchema, { name: "route", service: "service", ...one });
  const kept = besideCors(validSettings(others, validate, comment, draft), comment, draft);
  return [{ ...route, settings: redirect === undefined ? kept : { redirect, ...kept } }];
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

function validSettings(
  settings: YamlMap,
  validate: (settings: YamlMap) => string | undefined,
  where: string,
  draft: Draft,
): YamlMap {
  const kept = Object.entries(settings).filter(([key, value]) => {
    const problem = validate({ [key]: value });
    if (problem !== undefined) draft.note(where, `${key} is left out: ${problem}`, key === "rateLimit");
    return problem === undefined;
  });
  return Object.fromEntries(kept);
}
