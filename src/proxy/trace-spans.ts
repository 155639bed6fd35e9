import { errorTable } from "../errors.ts";
import type { Outcome } from "../observe/outcome.ts";
import type { Span, SpanValue } from "../observe/span.ts";
import type { EndpointAddress } from "../upstream/service-spec.ts";
import type { Trace, TracedAttempt } from "./trace.ts";

/** A request that has ended. Implemented by `Exchange`. */
export interface TracedRequest extends Outcome {
  readonly facts: { readonly isHttps: boolean };
  readonly route: { readonly name: string } | undefined;
}

/**
 * The spans of a request: a server span and a client span for each attempt, by the OpenTelemetry semantic conventions for
 * HTTP (stable since 1.23). They contain no query, cookie or header, which may hold secrets.
 */
export function spansOf(request: TracedRequest, trace: Trace): readonly Span[] {
  const endMs = trace.startedMs + request.durationMs;
  const attempts = trace.attempts.map((attempt, index) => clientSpan(request, trace, { attempt, index, endMs }));
  return [serverSpan(request, trace), ...attempts];
}

function serverSpan(request: TracedRequest, trace: Trace): Span {
  const { status, error, facts, route, host, path, assignedVersion, servedVersion } = request;
  const method = methodOf(request);
  // An aborted response keeps its status, so the status alone does not tell.
  const isError = status >= 500 || (error !== undefined && errorTable[error].source !== "client");
  return {
    ...common(trace, trace.spanId, trace.parentId, trace.startedMs),
    kind: "server",
    name: route === undefined ? spanName(method) : `${spanName(method)} ${route.name}`,
    durationMs: request.durationMs,
    isError,
    attributes: {
      ...methodAttributes(method, request.method),
      "url.scheme": facts.isHttps ? "https" : "http",
      "url.path": cut(path),
      "server.address": host === "" ? undefined : cut(host),
      "client.address": request.clientAddressText === "" ? undefined : request.clientAddressText,
      "http.response.status_code": status,
      "error.type": error ?? (isError ? String(status) : undefined),
      "perch.route": route?.name,
      "perch.service": request.serviceName,
      "perch.release": request.releaseName,
      "perch.version": servedVersion,
      "perch.assigned": assignedVersion === servedVersion ? undefined : assignedVersion,
      "perch.reason": request.reason,
      "perch.rule": request.ruleName,
      "perch.fallback": request.fallback ? true : undefined,
      "perch.error": error,
      "perch.request_id": request.requestId,
    },
  };
}

interface AttemptOf {
  readonly attempt: TracedAttempt;
  readonly index: number;
  /** End of the request, for an attempt that has no end of its own. */
  readonly endMs: number;
}

function clientSpan(request: TracedRequest, trace: Trace, { attempt, index, endMs }: AttemptOf): Span {
  const method = methodOf(request);
  const status = attempt.outcome === "answered" && request.error === undefined ? request.status : undefined;
  const failure = attempt.outcome === "open" || attempt.outcome === "answered" ? request.error : attempt.outcome;
  const isError = failure !== undefined || (status ?? 0) >= 400;
  return {
    ...common(trace, attempt.spanId, trace.spanId, attempt.startedMs),
    kind: "client",
    name: spanName(method),
    durationMs: Math.max(0, (attempt.endedMs ?? endMs) - attempt.startedMs),
    isError,
    attributes: {
      ...methodAttributes(method, request.method),
      ...addressAttributes(attempt.endpoint.address, request.path),
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

/** The methods known to OpenTelemetry. Others become `_OTHER`, to bound the number of span names. */
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

function methodOf({ method }: TracedRequest): string {
  return knownMethods.has(method) ? method : "_OTHER";
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

const maxLength = 2_048;

/** Bounds the length, which a client chooses. */
function cut(text: string): string {
  return text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}
