import { formatDuration } from "../../config/schema-kit/scalars.ts";
import type { Unit } from "../../decide/unit.ts";
import type { RequestFacts } from "../../identify/request-facts.ts";
import type { Condition } from "../../upstream/endpoint-health.ts";
import { describeSpec, type RetrySpec, type ServiceSpec } from "../../upstream/service-spec.ts";
import { affinityOf } from "../decide-request.ts";
import type { HeaderEdits, TemplateSource } from "../route-transforms.ts";
import type { Service, ServiceVersion } from "../service.ts";
import type { Route, Snapshot } from "../snapshot.ts";
import { isBelieved, parseTraceParent, sampledFlag } from "../trace.ts";
import type { DryRun, DryTarget, ExplainedStep } from "./dry-run.ts";

/** What its service does to a request, in short lines; nothing of what is as everywhere. */
export function describeService({ route, served }: DryTarget): string[] {
  const { spec, name } = route.service;
  const lines: string[] = [];
  if (spec.protocol === "http2") lines.push("its endpoints are spoken to by HTTP/2; a WebSocket would get 502");
  // Where hash leads is told beside it.
  if (spec.balance !== "p2c" && spec.balance !== "hash") lines.push(`endpoints take turns by ${spec.balance}`);
  if (spec.retries !== undefined) lines.push(retryText(spec.retries));
  const limits = limitText(spec);
  return limits === undefined ? lines : [...lines, `${name}/${served.name}, in each worker: ${limits}`];
}

function retryText({ attempts, onReset, statuses, budgetShare, otherVersion }: RetrySpec): string {
  if (attempts === 0) return "retries are off";
  const causes = [...(onReset ? ["a reset"] : []), ...statuses];
  const on = causes.length === 0 ? "" : `, and on ${causes.join(", ")} where the method is idempotent`;
  const last = otherVersion ? "; the last goes to the default version" : "";
  const times = attempts === 1 ? "once" : `up to ${attempts} times`;
  return `tried again ${times} where an endpoint is out of reach${on}; at most ${budgetShare * 100} % of requests${last}`;
}

function limitText({ limits }: ServiceSpec): string | undefined {
  if (limits === undefined) return undefined;
  const { maxConnections, maxInFlight, maxPending, pendingTimeoutMs } = limits;
  const parts: string[] = [];
  if (Number.isFinite(maxInFlight)) parts.push(`at most ${maxInFlight} in flight`);
  if (Number.isFinite(maxConnections)) parts.push(`${maxConnections} connections to an endpoint`);
  if (parts.length > 0) parts.push(`then ${maxPending} wait up to ${pendingTimeoutMs / 1000} s`);
  return parts.length === 0 ? undefined : parts.join(", ");
}

/** Whose trace the request is a part of, and whether it is recorded; undefined where traces are not configured. */
export function describeTrace({ config }: Snapshot, { head, caller }: DryRun): string | undefined {
  const { tracing } = config;
  if (tracing === undefined) return undefined;
  const sent = head.header("traceparent");
  const parent = typeof sent === "string" ? parseTraceParent(sent) : undefined;
  const isContinued = parent !== undefined && isBelieved(tracing, caller);
  const share = `recorded are ${tracing.sample * 100} % of traces`;
  if (!isContinued) return `a new trace begins${sent === undefined ? "" : ", the one sent does not count"}; ${share}`;
  const flag = (parent.flags & sampledFlag) === 0 ? "not recorded" : "recorded";
  return `trace ${parent.traceId} goes on; ${caller.trusted ? `${flag}, as the caller says` : share}`;
}

const outages: Readonly<Record<Condition["state"], string>> = {
  up: "up",
  failing: "its checks fail",
  ejected: "ejected for its answers",
  refused: "refuses connections",
};

/** The endpoints as they are now. Whoever asks without serving knows no more of a name than that it is one. */
export function describeEndpoints({ spec }: Service, { name, endpoints }: ServiceVersion): string {
  const specs = spec.versions.find((version) => version.name === name)?.endpoints ?? [];
  const names = specs.filter(({ kind }) => kind === "dns").map(describeSpec);
  const known = endpoints.current.map(({ origin, up, health }) =>
    up ? origin : `${origin} (${outages[health.condition.state]})`,
  );
  if (names.length === 0) return known.join(", ");
  return `${known.join(", ") || "no address known here"} (${names.join(", ")})`;
}

/** Which of the endpoints the requester is kept on, where requesters are; undefined where they are not. */
export function describeHash(
  { route, decision, served }: DryTarget,
  facts: RequestFacts,
  nowMs: number,
): string | undefined {
  const { current } = served.endpoints;
  if (route.service.spec.balance !== "hash") return undefined;
  const affinity = affinityOf(decision, facts);
  const endpoint = served.balancer.pick(current, { nowMs, tried: [], affinity, randomFraction: () => 0 });
  if (endpoint === undefined) return undefined;
  if (affinity === undefined) return "balance hash: any endpoint, for nobody knows who asks";
  const whose = affinity === decision?.unit ? "this unit" : "this client's address";
  return `balance hash: ${whose} is kept on ${endpoint.origin}`;
}

/** What a route asks of a request before anything is decided. */
export function limitSteps({ config }: Snapshot, route: Route | undefined, { facts }: DryRun): ExplainedStep[] {
  const spec = config.routes.find(({ name }) => name === route?.name);
  if (spec === undefined || route === undefined) return [];
  const steps: ExplainedStep[] = [];
  if (spec.rateLimit !== undefined && route.rateLimit !== undefined) {
    const { by, requests, perMs, burst } = spec.rateLimit;
    const rate = `${requests} requests in ${formatDuration(perMs)}, ${burst} at once`;
    const who = by.kind === "attribute" ? by.name : by.kind;
    const detail = `${rate}, by ${who}: this one counts for ${route.rateLimit.describe(facts)}`;
    steps.push({ stage: "route", outcome: "limited", detail });
  }
  const bounds = Object.entries(spec.timeouts).map(([name, ms]) => `${name.slice(0, -2)} ${formatDuration(ms)}`);
  if (spec.bodyBytes !== undefined) bounds.push(`a body of ${spec.bodyBytes === 0 ? "any" : spec.bodyBytes} bytes`);
  if (bounds.length > 0) steps.push({ stage: "route", outcome: "limited", detail: `at most: ${bounds.join(", ")}` });
  return steps;
}

/** What is done to the request on its way, and to its response. */
export function workSteps(
  snapshot: Snapshot,
  run: DryRun,
  target: DryTarget,
  unit: Unit,
  nowMs: number,
): ExplainedStep[] {
  const { route, served } = target;
  const steps: ExplainedStep[] = [];
  const faults = route.fault?.why({ facts: run.facts, unit, nowMs }) ?? [];
  for (const detail of faults) steps.push({ stage: "forward", outcome: "fault", detail });
  if (route.transforms === undefined) return steps;
  const { rewrite } = route.transforms;
  if (rewrite !== undefined) {
    const path = rewrite.path(run.head.path);
    const { host } = rewrite.spec;
    const hostText = host?.kind === "text" ? host.text : "the endpoint's own";
    const to = path === undefined ? "no path that is let through: 400" : path;
    const detail = `${run.head.path} → ${to}${host === undefined ? "" : `, Host ${hostText}`}`;
    steps.push({ stage: "forward", outcome: "rewritten", detail });
  }
  const source = sourceOf(snapshot, run, target);
  for (const message of ["request", "response"] as const) {
    const edits = route.transforms.editsOf(message, served);
    if (edits === undefined) continue;
    const detail = `${message} ${describeEdits(edits, source, served.name)}`;
    steps.push({ stage: "forward", outcome: "edited", detail });
  }
  return steps;
}

function describeEdits(edits: HeaderEdits, source: TemplateSource, version: string): string {
  const removed = edits.removed.map((name) => `- ${name}`);
  const added = edits
    .values(source, version)
    .map(([name, value]) => `+ ${name}: ${value ?? "(not known: not written)"}`);
  return [...removed, ...added].join(", ");
}

function sourceOf(snapshot: Snapshot, { facts, head }: DryRun, { route }: DryTarget): TemplateSource {
  return {
    snapshot,
    facts,
    head,
    path: head.path,
    routeName: route.name,
    serviceName: route.service.name,
    releaseName: route.release?.policy.name,
    requestId: "(new for each request)",
    clientAddressText: facts.clientAddress?.text ?? "",
  };
}
