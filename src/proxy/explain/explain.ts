import type { Decision, Trail } from "../../decide/decision.ts";
import type { PinRejection } from "../../decide/pin.ts";
import type { Pin } from "../../decide/pin-content.ts";
import { isPreflight } from "../../decide/preflight.ts";
import { formatUnit, type RandomSource, randomUnit } from "../../decide/unit.ts";
import { errorTable } from "../../errors.ts";
import { cookieValues } from "../../http/cookies.ts";
import { AttributeTable } from "../../identify/attributes.ts";
import { type MirrorVerdict, mirrorHeader } from "../mirror.ts";
import { followLink, routeRedirect } from "../redirects.ts";
import { type PlainValue, plainValue } from "../route-transforms.ts";
import type { Service, ServiceVersion } from "../service.ts";
import type { Snapshot } from "../snapshot.ts";
import { type DryRequest, type DryRun, type DryTarget, dryRun, type ExplainedStep } from "./dry-run.ts";
import { type ExplainedAttribute, explainAttributes } from "./explain-attributes.ts";
import { describeMatch, routeMisses } from "./explain-routes.ts";
import {
  describeEndpoints,
  describeHash,
  describeService,
  describeTrace,
  limitSteps,
  transformSteps,
} from "./explain-service.ts";

/** Which version a request would get, and why, stage by stage. Plain JSON; null if a field does not apply. */
export interface Explanation {
  readonly route: string | null;
  readonly service: string | null;
  readonly release: string | null;
  /** The version assigned. */
  readonly version: string | null;
  /** The version that serves by configuration: the service's default if it lacks the assigned one. */
  readonly served: string | null;
  readonly reason: Decision["reason"] | null;
  readonly rule: string | null;
  /** By name; null for attributes that the request does not have. */
  readonly attributes: Readonly<Record<string, { readonly value: PlainValue; readonly source: string } | null>>;
  readonly unit: ExplainedUnit | null;
  readonly pin: ExplainedPin | null;
  /** The redirect that is sent instead of forwarding, and its Set-Cookie value. */
  readonly redirect: { readonly status: number; readonly location: string; readonly setCookie: string | null } | null;
  /** The error that is sent instead of forwarding. */
  readonly error: { readonly code: "bad-request" | "no-route"; readonly status: number } | null;
  readonly trail: readonly ExplainedStep[];
}

/** The unit that the version is assigned to. */
export interface ExplainedUnit {
  readonly source: "attribute" | "clientAddress" | "pin" | "new";
  /** The attribute's name and value; null for a unit from a pin, or a new random unit. */
  readonly name: string | null;
  readonly value: PlainValue | null;
  /** In the format of a pin. */
  readonly id: string;
}

export interface ExplainedPin {
  /** The cookie's name. */
  readonly cookie: string;
  /** Whether the request has a valid pin; else why the first pin cookie was rejected. */
  readonly received: "none" | "valid" | PinRejection;
  /** The version of a valid pin. */
  readonly version: string | null;
  /** The Set-Cookie value of the response. */
  readonly wouldSet: string | null;
}

const uncounted = { attributeError: () => undefined, patternSkipped: () => undefined };

/** Explains a request by deciding it as the proxy would. Sends nothing, and changes no metric. */
export function explainRequest(
  snapshot: Snapshot,
  request: DryRequest,
  context: { readonly nowMs: number; readonly random: RandomSource },
): Explanation {
  const decisionTrail: Trail = [];
  const attributes = new AttributeTable(snapshot.config.attributes, uncounted, snapshot.attributes.lookups);
  const run = dryRun(snapshot, request, { ...context, attributes, trail: decisionTrail });
  if ("problem" in run) return malformed(run.problem);
  const { nowMs } = context;
  const identified = explainAttributes(snapshot, run.head, run.caller, nowMs);
  const start = [requestStep(run), ...routeSteps(snapshot, run, nowMs), ...limitSteps(snapshot, run.route, run)];
  const { target } = run;
  const attributesByName = byName(identified);
  const preflight = preflightStep(run);
  if (preflight !== undefined) {
    const names = namesOf(run.route);
    return { ...emptyExplanation, ...names, attributes: attributesByName, error: null, trail: [...start, preflight] };
  }
  const linkTrail: Trail = [];
  const redirect = redirectOf(snapshot, run, nowMs, linkTrail);
  if (redirect !== null) {
    const steps = [...start, ...linkTrail, redirectStep(redirect)];
    return {
      ...emptyExplanation,
      ...namesOf(run.route),
      attributes: attributesByName,
      redirect,
      error: null,
      trail: steps,
    };
  }
  if (target === undefined) {
    return { ...emptyExplanation, attributes: attributesByName, error: errorOf("no-route"), trail: start };
  }
  const { route, decision, served, setCookie } = target;
  return {
    ...namesOf(route),
    version: decision?.version ?? served.name,
    served: served.name,
    reason: decision?.reason ?? "default",
    rule: decision?.rule ?? null,
    attributes: attributesByName,
    unit: unitOf(snapshot, run, target, nowMs),
    pin: pinOf(run, target, setCookie, nowMs),
    redirect: null,
    error: null,
    trail: [
      ...start,
      ...identifySteps(identified, run),
      ...pinSteps(run, target),
      ...linkTrail,
      ...decisionTrail,
      ...(decision === undefined ? [noReleaseStep(target)] : []),
      forwardStep(target),
      ...transformSteps(snapshot, run, target, decision?.unit ?? randomUnit(context.random), nowMs),
      ...hashSteps(run, target, nowMs),
      ...serviceSteps(snapshot, run, target),
      ...mirrorSteps(run, target),
      ...propagationSteps(target),
    ],
  };
}

const emptyExplanation: Omit<Explanation, "attributes" | "error" | "trail"> = {
  route: null,
  service: null,
  release: null,
  version: null,
  served: null,
  reason: null,
  rule: null,
  unit: null,
  pin: null,
  redirect: null,
};

function malformed(problem: string): Explanation {
  const step: ExplainedStep = { stage: "request", outcome: "malformed", detail: problem };
  return { ...emptyExplanation, attributes: {}, error: errorOf("bad-request"), trail: [step] };
}

function errorOf(code: "bad-request" | "no-route"): Explanation["error"] {
  return { code, status: errorTable[code].status };
}

function byName(attributes: readonly ExplainedAttribute[]): Explanation["attributes"] {
  return Object.fromEntries(attributes.map(({ name, found }) => [name, found]));
}

function namesOf(route: DryRun["route"]): Pick<Explanation, "route" | "service" | "release"> {
  return {
    route: route?.name ?? null,
    service: route?.service?.name ?? null,
    release: route?.release?.policy.name ?? null,
  };
}

/** The redirect of the route or of an override link, if any. */
function redirectOf(
  { ownParameters }: Snapshot,
  { route, head, facts }: DryRun,
  nowMs: number,
  trail: Trail,
): Explanation["redirect"] {
  const redirect =
    route?.redirect === undefined
      ? route?.release && followLink(route.release.policy, head, facts, ownParameters, nowMs, trail)
      : routeRedirect(route.redirect, { head, facts });
  return redirect === undefined
    ? null
    : { status: redirect.status, location: redirect.location, setCookie: redirect.setCookie ?? null };
}

function unitOf(
  { config }: Snapshot,
  run: DryRun,
  { decision, route }: DryTarget,
  nowMs: number,
): ExplainedUnit | null {
  const by = route.release?.policy.spec.sticky.by;
  if (decision?.unit === undefined) return null;
  const id = formatUnit(decision.unit);
  if (by?.kind === "attribute") {
    const value = run.facts.attribute(by.index);
    const type = config.attributes[by.index]?.type ?? "string";
    if (value !== undefined) return { source: "attribute", name: by.name, value: plainValue(type, value), id };
  }
  if (by?.kind === "clientAddress" && run.facts.clientAddress !== undefined) {
    return { source: "clientAddress", name: "clientAddress", value: run.facts.clientAddress.text, id };
  }
  return { source: validPin(run, route, nowMs) === undefined ? "new" : "pin", name: null, value: null, id };
}

function pinOf(run: DryRun, { route }: DryTarget, setCookie: string | undefined, nowMs: number): ExplainedPin | null {
  if (route.release === undefined) return null;
  const pin = validPin(run, route, nowMs);
  return {
    cookie: route.release.policy.spec.sticky.cookie.name,
    received: pin === undefined ? (run.pinRejections[0] ?? "none") : "valid",
    version: pin?.version ?? null,
    wouldSet: setCookie ?? null,
  };
}

/** The pin that the decision used. Reading it again is cheaper than storing it in every decision. */
function validPin({ head }: DryRun, { release }: DryTarget["route"], nowMs: number): Pin | undefined {
  if (release === undefined || head.cookies === undefined) return undefined;
  const values = cookieValues(head.cookies, release.policy.spec.sticky.cookie.name);
  return release.policy.readPin(values, nowMs, () => undefined);
}

function requestStep({ head, caller, facts }: DryRun): ExplainedStep {
  const from = caller.address === undefined ? "an unknown address" : caller.address.text;
  const trust = caller.trusted ? ", a trusted proxy" : "";
  const client = facts.clientAddress?.text;
  const derived = client === caller.address?.text ? "" : `, for the client ${client}`;
  const scheme = facts.isHttps ? "https" : "http";
  const url = `${scheme}://${head.host === "" ? "(no host)" : head.host}${head.path}`;
  return { stage: "request", outcome: "read", detail: `${head.method} ${url} from ${from}${trust}${derived}` };
}

const maxMisses = 5;

/** Routes are tried in file order. Explains the misses before the match. */
function routeSteps({ config }: Snapshot, { route: found, facts }: DryRun, nowMs: number): ExplainedStep[] {
  const taken = config.routes.findIndex(({ name }) => name === found?.name);
  const passed = taken === -1 ? config.routes : config.routes.slice(0, taken);
  const misses = routeMisses(passed, facts, nowMs);
  const steps = misses.slice(0, maxMisses).map(({ route, why }): ExplainedStep => {
    return { stage: "route", outcome: "not-matched", detail: `${route} ${why()}` };
  });
  const left = misses.length - steps.length;
  if (left > 0) {
    steps.push({ stage: "route", outcome: "not-matched", detail: `and ${left} more routes` });
  }
  const spec = config.routes[taken];
  if (spec === undefined) {
    return [{ stage: "route", outcome: "none", detail: "no route matches this request; the closest are:" }, ...steps];
  }
  const release = spec.release === undefined ? "" : `, release ${spec.release}`;
  const to = spec.service === undefined ? "a redirect" : `service ${spec.service}${release}`;
  const detail = `${spec.name} (${describeMatch(spec.match, facts, nowMs)}): ${to}`;
  return [...steps, { stage: "route", outcome: "matched", detail }];
}

/** Undefined if the request is no CORS preflight, or the upstream answers it. */
function preflightStep({ route, facts, head }: DryRun): ExplainedStep | undefined {
  if (route?.cors === undefined || !isPreflight(facts)) return undefined;
  const { status, fields } = route.cors.preflight(head);
  const lines = fields.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${fields[at + 1]}`] : []));
  const detail = `the route's cors answers this preflight instead of forwarding: ${status}, ${lines.join(", ") || "no fields"}`;
  return { stage: "forward", outcome: "answered", detail };
}

function redirectStep({ status, location }: Exclude<Explanation["redirect"], null>): ExplainedStep {
  return {
    stage: "forward",
    outcome: "redirected",
    detail: `redirect instead of forwarding: ${status} to ${location}`,
  };
}

function identifySteps(attributes: readonly ExplainedAttribute[], { facts }: DryRun): ExplainedStep[] {
  const address = facts.clientAddress?.text;
  const client: ExplainedStep = {
    stage: "identify",
    outcome: address === undefined ? "absent" : "found",
    detail: address === undefined ? "the client's address is unknown" : `the client's address is ${address}`,
  };
  const steps = attributes.map(({ found, detail }): ExplainedStep => {
    return { stage: "identify", outcome: found === null ? "absent" : "found", detail };
  });
  return [client, ...steps];
}

function pinSteps({ pinRejections }: DryRun, { route }: DryTarget): ExplainedStep[] {
  const name = route.release?.policy.spec.sticky.cookie.name;
  return pinRejections.map((cause) => {
    return { stage: "pin", outcome: "rejected", detail: `cookie ${name} is ${cause} and is ignored` };
  });
}

function noReleaseStep({ route, served }: DryTarget): ExplainedStep {
  const detail = `${served.name}: the route has no release, so the default of service ${route.service.name} serves`;
  return { stage: "default", outcome: "used", detail };
}

function hashSteps({ facts }: DryRun, target: DryTarget, nowMs: number): ExplainedStep[] {
  const detail = describeHash(target, facts, nowMs);
  return detail === undefined ? [] : [{ stage: "forward", outcome: "kept", detail }];
}

/** Settings of the service and of tracing that affect how the request is forwarded. */
function serviceSteps(snapshot: Snapshot, run: DryRun, target: DryTarget): ExplainedStep[] {
  const trace = describeTrace(snapshot, run);
  const lines = [...describeService(target), ...(trace === undefined ? [] : [trace])];
  return lines.map((detail) => ({ stage: "forward", outcome: "so-configured", detail }));
}

function forwardStep({ route, decision, served }: DryTarget): ExplainedStep {
  const { service } = route;
  const to = describeEndpoints(service, served);
  if (decision !== undefined && decision.version !== served.name) {
    const detail = `service ${service.name} has no version ${decision.version}; its default ${served.name} serves: ${to}`;
    return { stage: "forward", outcome: "default-served", detail };
  }
  const detail = `service ${service.name}, version ${served.name}: ${to}`;
  if (fallsBack(service, served, decision)) {
    const instead = `none of these is available, so the default ${service.defaultVersion.name} serves`;
    return { stage: "forward", outcome: "default-served", detail: `${detail}; ${instead}` };
  }
  return { stage: "forward", outcome: "served", detail };
}

function fallsBack({ defaultVersion }: Service, served: ServiceVersion, decision: Decision | undefined): boolean {
  const known = served.endpoints.current;
  if (served === defaultVersion || decision?.reason === "override" || known.length === 0) return false;
  return known.every(({ up }) => !up);
}

const notMirrored: Readonly<Record<Exclude<MirrorVerdict, "copied" | "not-drawn">, string>> = {
  "no-unit": "no unit was drawn for it: an override or a caller chose the version, or it is a CORS preflight",
  "other-method": "its method is not one of the mirror's methods",
  "serves-itself": "that version serves the request",
  "is-a-copy": "it is a mirrored request already",
};

function mirrorSteps({ head, caller }: DryRun, { route, decision, served }: DryTarget): ExplainedStep[] {
  const { mirroring } = route;
  if (mirroring === undefined || decision === undefined) return [];
  // An explained decision has a unit even where a real one would not look for it.
  const unit = decision.reason === "override" || decision.reason === "propagated" ? undefined : decision.unit;
  const isCopy = caller.trusted && head.header(mirrorHeader) !== undefined;
  const verdict = mirroring.verdict({ method: head.method, unit, served: served.name, isCopy });
  const { version } = mirroring.spec;
  const draw = unit === undefined ? "" : mirroring.draw(unit).toFixed(2);
  const drawn = `the unit's draw is ${draw}, mirrored are draws below ${mirroring.spec.percent}`;
  if (verdict === "copied") return [{ stage: "mirror", outcome: "copied", detail: `to ${version}: ${drawn}` }];
  const why = verdict === "not-drawn" ? drawn : notMirrored[verdict];
  return [{ stage: "mirror", outcome: "not-copied", detail: `to ${version}: ${why}` }];
}

/** The propagated fields. If the release propagates but the service is external, says so. */
function propagationSteps({ route, propagated }: DryTarget): ExplainedStep[] {
  const steps: ExplainedStep[] = [];
  if (route.service.external && route.release?.policy.spec.propagate !== undefined) {
    const detail = `service ${route.service.name} is external: the version is not propagated`;
    steps.push({ stage: "forward", outcome: "not-told", detail });
  }
  for (let i = 0; i < propagated.length; i += 2) {
    steps.push({ stage: "forward", outcome: "told", detail: `${propagated[i]}: ${propagated[i + 1]}` });
  }
  return steps;
}
