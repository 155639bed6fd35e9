import {
  type Draft,
  type DraftRoute,
  type DraftService,
  type DraftVersion,
  isYamlMap,
  resourceNameOf,
  type YamlValue,
} from "../draft.ts";
import type { ImportedPlan, Router } from "./plan.ts";

/** A route that a plan moves, with its versions. */
export interface PlannedRoute {
  readonly route: DraftRoute;
  readonly service: DraftService;
  readonly baseline: string;
  /** Undefined if the service lacks it. */
  readonly candidate: string | undefined;
}

/** The routes of the draft that the plan moves: those to its Services, of the objects that the original names. */
export function plannedRoutes(plan: ImportedPlan, draft: Draft): readonly PlannedRoute[] {
  return draft.routes.flatMap((route): PlannedRoute[] => {
    const service = draft.services.find(({ name }) => name === route.service);
    if (service === undefined || !isNamed(route, plan.routers)) return [];
    const versionOf = (host: string) =>
      service.versions.find((version) => hostsOf(version).some((own) => isHost(own, host)))?.name;
    const baseline = plan.baseline.map(versionOf).find((name) => name !== undefined);
    const candidate = versionOf(plan.candidate);
    if (candidate === undefined && plan.isWeighted) return [];
    return baseline === undefined || baseline === candidate ? [] : [{ route, service, baseline, candidate }];
  });
}

function isNamed(route: DraftRoute, routers: readonly Router[]): boolean {
  if (routers.length === 0) return true;
  return routers.some(({ title, routes }) => {
    if (!route.sources.includes(title)) return false;
    return routes.length === 0 || routes.some((name) => name === route.originalName);
  });
}

function isHost(host: string, wanted: string): boolean {
  return wanted.startsWith("*") ? host.endsWith(wanted.slice(1)) : host === wanted;
}

/** The Services of a version's endpoints, as `name.namespace`. */
export function hostsOf({ endpoints }: DraftVersion): readonly string[] {
  return endpoints.map((endpoint) => serviceHost(hostOf(endpoint)));
}

function hostOf(endpoint: YamlValue): string {
  if (typeof endpoint === "string") return URL.parse(endpoint)?.hostname ?? "";
  const dns = isYamlMap(endpoint) ? endpoint["dns"] : undefined;
  return typeof dns === "string" ? dns : "";
}

function serviceHost(host: string): string {
  return host.replace(/\.svc(?:\.[\w.-]+)?$/, "");
}

/** The service with the candidate as another version, at the port of the baseline. */
export function withCandidate({ service, baseline }: PlannedRoute, plan: ImportedPlan): DraftService {
  const from = service.versions.find(({ name }) => name === baseline);
  if (from === undefined) return service;
  const taken = service.versions.map(({ name }) => name);
  const name = taken.includes("canary") ? resourceNameOf(plan.candidate) : "canary";
  const endpoints = from.endpoints.map((endpoint) => moved(endpoint, candidateHost(endpoint, plan)));
  return { ...service, versions: [...service.versions, { ...from, name, endpoints }] };
}

/** With subsets, the Service of the same name for the other subset. */
function candidateHost(endpoint: YamlValue, { baseline, candidate }: ImportedPlan): string {
  if (!candidate.startsWith("*")) return candidate;
  const host = serviceHost(hostOf(endpoint));
  return `${host.slice(0, host.length - baseline[0].length + 1)}${candidate.slice(1)}`;
}

function moved(endpoint: YamlValue, host: string): YamlValue {
  const own = hostOf(endpoint);
  const suffix = own.slice(serviceHost(own).length);
  if (typeof endpoint === "string") return endpoint.replace(`//${own}`, () => `//${host}${suffix}`);
  return isYamlMap(endpoint) ? { ...endpoint, dns: `${host}${suffix}` } : endpoint;
}
