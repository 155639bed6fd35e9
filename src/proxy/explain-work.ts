import { formatDuration } from "../config/kit/quantities.ts";
import type { Unit } from "../decide/unit.ts";
import type { DryRun, DryTarget } from "./dry-run.ts";
import type { ExplainedStep } from "./explain.ts";
import type { HeaderEdits } from "./header-edits.ts";
import type { Route, Snapshot } from "./snapshot.ts";
import type { TemplateSource } from "./template-text.ts";

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
  if (spec.bodyBytes !== undefined) bounds.push(`a body of ${spec.bodyBytes === 0 ? "any" : spec.bodyBytes} octets`);
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
  if (route.work === undefined) return steps;
  const { rewrite } = route.work;
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
    const edits = route.work.editsOf(message, served);
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
