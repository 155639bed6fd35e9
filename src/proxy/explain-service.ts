import type { RetrySpec, ServiceSpec } from "../upstream/service-spec.ts";
import type { DryRun, DryTarget } from "./dry-run.ts";
import type { Snapshot } from "./snapshot.ts";
import { isBelieved } from "./trace.ts";
import { parseTraceParent, sampledFlag } from "./trace-context.ts";

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
