import { formatDuration } from "../../config/schema-kit/scalars.ts";
import type { Unit } from "../../decide/unit.ts";
import type { RequestFacts } from "../../identify/request-facts.ts";
import type { Condition } from "../../upstream/endpoint-health.ts";
import { describeSpec, type RetrySpec, type ServiceSpec } from "../../upstream/service-spec.ts";
import { affinityOf } from "../decide-request.ts";
import type { HeaderEdits, TemplateSource } from "../route-transforms.ts";
import type { Service, ServiceVersion } from "../service.ts";
import type { ForwardRoute, Route, Snapshot } from "../snapshot.ts";
import { storeName } from "../token-store.ts";
import { isBelieved, parseTraceParent, sampledFlag } from "../trace.ts";
import type { DryRun, DryTarget, ExplainedStep } from "./dry-run.ts";

/** Settings of the service and of the route's caching that differ from the defaults, one line each. */
export function describeService({ route, served }: DryTarget): string[] {
  const { spec, name } = route.service;
  const lines: string[] = [];
  if (route.release !== undefined && !route.isPrivate)
    lines.push("shared caches may keep the response, as its own fields say");
  if (spec.protocol === "http2") lines.push("endpoints use HTTP/2; a WebSocket would get 502");
  // `describeHash` covers hash.
  if (spec.balance !== "p2c" && spec.balance !== "hash") lines.push(`endpoints are chosen by ${spec.balance}`);
  if (spec.retries !== undefined) lines.push(retryText(spec.retries));
  const limits = limitText(spec);
  return limits === undefined ? lines : [...lines, `${name}/${served.name}, in each worker: ${limits}`];
}

function retryText({ attempts, onReset, statuses, budgetShare, otherVersion }: RetrySpec): string {
  if (attempts === 0) return "retries are off";
  const causes = [...(onReset ? ["a reset"] : []), ...statuses];
  const on = causes.length === 0 ? "" : `, and on ${causes.join(", ")} if the method is idempotent`;
  const last = otherVersion ? "; the last one goes to the default version" : "";
  const times = attempts === 1 ? "once" : `up to ${attempts} times`;
  return `retried ${times} if an endpoint cannot be reached${on}; at most ${budgetShare * 100} % of requests${last}`;
}

function limitText({ limits }: ServiceSpec): string | undefined {
  if (limits === undefined) return undefined;
  const { maxConnections, maxInFlight, maxPending, pendingTimeoutMs } = limits;
  const parts: string[] = [];
  if (Number.isFinite(maxInFlight)) parts.push(`at most ${maxInFlight} in flight`);
  if (Number.isFinite(maxConnections)) parts.push(`${maxConnections} connections per endpoint`);
  if (parts.length > 0) parts.push(`then ${maxPending} queue for up to ${pendingTimeoutMs / 1000} s`);
  return parts.length === 0 ? undefined : parts.join(", ");
}

/** The trace of the request, and whether it is sampled; undefined if tracing is not configured. */
export function describeTrace({ config }: Snapshot, { head, caller }: DryRun): string | undefined {
  const { tracing } = config;
  if (tracing === undefined) return undefined;
  const sent = head.header("traceparent");
  const parent = typeof sent === "string" ? parseTraceParent(sent) : undefined;
  const isContinued = parent !== undefined && isBelieved(tracing, caller);
  const share = `${tracing.sample * 100} % of traces are sampled`;
  if (!isContinued) return `a new trace begins${sent === undefined ? "" : ", the received one is ignored"}; ${share}`;
  const flag = (parent.flags & sampledFlag) === 0 ? "not sampled" : "sampled";
  return `trace ${parent.traceId} continues; ${caller.trusted ? `${flag}, as the caller decided` : share}`;
}

const unhealthyText: Readonly<Record<Condition["state"], string>> = {
  up: "up",
  failing: "health checks fail",
  ejected: "ejected for bad responses",
  refused: "refuses connections",
};

/** The endpoints and their health. Outside of a running proxy, neither DNS nor Kubernetes is asked. */
export function describeEndpoints({ spec }: Service, { name, endpoints }: ServiceVersion): string {
  const specs = spec.versions.find((version) => version.name === name)?.endpoints ?? [];
  const names = specs.filter(({ kind }) => kind !== "address").map(describeSpec);
  const known = endpoints.current.map(({ origin, up, health }) =>
    up ? origin : `${origin} (${unhealthyText[health.condition.state]})`,
  );
  if (names.length === 0) return known.join(", ");
  return `${known.join(", ") || "no resolved address"} (${names.join(", ")})`;
}

/** The endpoint that `balance: hash` picks; undefined for other balancers. */
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
  if (affinity === undefined) return "balance hash: any endpoint, the request has no unit and no client address";
  const key = affinity === decision?.unit ? "this unit" : "this client's address";
  return `balance hash: ${key} is kept on ${endpoint.origin}`;
}

/** The rate limit, timeouts and body limit of a route. */
export function limitSteps({ config }: Snapshot, route: Route | undefined, { facts }: DryRun): ExplainedStep[] {
  const spec = config.routes.find(({ name }) => name === route?.name);
  if (spec === undefined || route === undefined) return [];
  const steps: ExplainedStep[] = [];
  if (spec.rateLimit !== undefined && route.rateLimit !== undefined) {
    const { by, requests, perMs, burst, shared } = spec.rateLimit;
    const rate = `${requests} requests per ${formatDuration(perMs)}, burst ${burst}`;
    const key = by.kind === "attribute" ? by.name : by.kind;
    const where = shared === undefined ? "" : `, over all processes, counted in Redis at ${storeName(shared)}`;
    const detail = `${rate}${where}, by ${key}: this one counts for ${route.rateLimit.describe(facts)}`;
    steps.push({ stage: "route", outcome: "limited", detail });
  }
  const limits = Object.entries(spec.timeouts).map(([name, ms]) => `${name.slice(0, -2)} ${formatDuration(ms)}`);
  if (spec.bodyBytes !== undefined)
    limits.push(spec.bodyBytes === 0 ? "body unlimited" : `body ${spec.bodyBytes} bytes`);
  if (limits.length > 0) steps.push({ stage: "route", outcome: "limited", detail: `limits: ${limits.join(", ")}` });
  return steps;
}

/** The faults, rewrites and header edits of the request and its response. */
export function transformSteps(
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
  const rewritten = describeRewrite(run, route);
  if (rewritten !== undefined) steps.push({ stage: "forward", outcome: "rewritten", detail: rewritten });
  if (route.transforms === undefined) return steps;
  const source = templateSource(snapshot, run, target);
  for (const message of ["request", "response"] as const) {
    const edits = route.transforms.editsOf(message, served);
    if (edits === undefined) continue;
    const detail = `${message} ${describeEdits(edits, source, served.name)}`;
    steps.push({ stage: "forward", outcome: "edited", detail });
  }
  return steps;
}

/** The path and Host that go upstream, if they are others than those that the route matched. */
function describeRewrite(
  { head, writtenPath }: DryRun,
  { transforms, upstreamPath }: ForwardRoute,
): string | undefined {
  const host = transforms?.rewrite?.spec.host;
  if (upstreamPath === undefined && transforms?.rewrite === undefined) return undefined;
  const path = upstreamPath === undefined ? head.path : upstreamPath.for({ written: writtenPath, matched: head.path });
  const hostText = host?.kind === "text" ? host.text : "of the endpoint";
  return `${head.path} → ${path ?? "an invalid path: 400"}${host === undefined ? "" : `, Host ${hostText}`}`;
}

function describeEdits(edits: HeaderEdits, source: TemplateSource, version: string): string {
  const removed = edits.removed.map((name) => `- ${name}`);
  const added = edits.values(source, version).map(([name, value]) => `+ ${name}: ${value ?? "(unknown, not added)"}`);
  return [...removed, ...added].join(", ");
}

function templateSource(snapshot: Snapshot, { facts, head }: DryRun, { route }: DryTarget): TemplateSource {
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
