import { errorTable } from "../errors.ts";
import type { Span, SpanValue } from "../observe/span.ts";
import type { EndpointAddress } from "../upstream/service-spec.ts";
import type { Exchange } from "./exchange.ts";
import type { Trace, TracedAttempt } from "./trace.ts";

/** What OpenTelemetry knows; another method is `_OTHER` there, so that nobody makes names at will. */
const knownMethods: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);

const maxText = 2_048;

/**
 * The spans of a request that ended: one for itself and one for each attempt, by the semantic conventions for HTTP
 * (stable since 1.23). No query, cookie or header is in them: those hold secrets.
 */
export function spansOf(exchange: Exchange, trace: Trace): readonly Span[] {
  const endMs = trace.startedMs + exchange.durationMs;
  const attempts = trace.attempts.map((attempt, index) => clientSpan(exchange, trace, { attempt, index, endMs }));
  return [serverSpan(exchange, trace), ...attempts];
}

function serverSpan(exchange: Exchange, trace: Trace): Span {
  const { head, status, error, facts, route, decision } = exchange;
  const method = methodOf(exchange);
  // An answer that was cut short keeps its status.
  const isError = status >= 500 || (error !== undefined && errorTable[error].source !== "client");
  return {
    ...common(trace, trace.spanId, trace.parentId, trace.startedMs),
    kind: "server",
    name: route === undefined ? spanName(method) : `${spanName(method)} ${route.name}`,
    durationMs: exchange.durationMs,
    isError,
    attributes: {
      ...methodAttributes(method, head.method),
      "url.scheme": facts.isHttps ? "https" : "http",
      "url.path": cut(head.path),
      "server.address": head.host === "" ? undefined : cut(head.host),
      "client.address": exchange.clientAddressText === "" ? undefined : exchange.clientAddressText,
      "http.response.status_code": status,
      "error.type": error ?? (isError ? String(status) : undefined),
      "perch.route": route?.name,
      "perch.service": exchange.serviceName,
      "perch.release": exchange.releaseName,
      "perch.version": exchange.servedVersion,
      "perch.assigned":
        decision !== undefined && decision.version !== exchange.servedVersion ? decision.version : undefined,
      "perch.reason": exchange.reason,
      "perch.rule": exchange.ruleName,
      "perch.fallback": exchange.fallback ? true : undefined,
      "perch.error": error,
      "perch.request_id": exchange.requestId,
    },
  };
}

interface AttemptOf {
  readonly attempt: TracedAttempt;
  readonly index: number;
  /** Where the attempt lasted as long as the request. */
  readonly endMs: number;
}

function clientSpan(exchange: Exchange, trace: Trace, { attempt, index, endMs }: AttemptOf): Span {
  const method = methodOf(exchange);
  const status = attempt.outcome === "answered" && exchange.error === undefined ? exchange.status : undefined;
  const failure = attempt.outcome === "open" || attempt.outcome === "answered" ? exchange.error : attempt.outcome;
  const isError = failure !== undefined || (status ?? 0) >= 400;
  return {
    ...common(trace, attempt.spanId, trace.spanId, attempt.startedMs),
    kind: "client",
    name: spanName(method),
    durationMs: Math.max(0, (attempt.endedMs ?? endMs) - attempt.startedMs),
    isError,
    attributes: {
      ...methodAttributes(method, exchange.head.method),
      ...addressAttributes(attempt.endpoint.address, exchange.head.path),
      "http.response.status_code": status,
      "http.request.resend_count": index === 0 ? undefined : index,
      "error.type": failure ?? (isError ? String(status) : undefined),
      "perch.version": attempt.version,
    },
  };
}

function common(trace: Trace, spanId: string, parentId: string | undefined, startedMs: number) {
  const { traceId, state } = trace;
  return { traceId, spanId, parentId, traceState: state, startMs: trace.startedAtMs + (startedMs - trace.startedMs) };
}

function methodOf({ head }: Exchange): string {
  return knownMethods.has(head.method) ? head.method : "_OTHER";
}

function spanName(method: string): string {
  return method === "_OTHER" ? "HTTP" : method;
}

function methodAttributes(method: string, sent: string): Record<string, SpanValue | undefined> {
  return {
    "http.request.method": method,
    "http.request.method_original": method === sent ? undefined : sent.slice(0, 32),
  };
}

function addressAttributes({ origin, host, place }: EndpointAddress, path: string): Record<string, SpanValue> {
  if ("path" in place) return { "url.full": cut(`http://${host}${path}`), "server.address": place.path };
  return { "url.full": cut(`${origin}${path}`), "server.address": host, "server.port": place.port };
}

/** A client chooses the length. */
function cut(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
}
