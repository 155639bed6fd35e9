import type { Span, SpanValue } from "../observe/span.ts";

/** Who sends the spans. */
export interface SpanResource {
  readonly serviceName: string;
  /** Perch's own version. */
  readonly version: string;
  /** Tells replicas, and workers of one, apart. */
  readonly instanceId: string;
}

const kinds: Readonly<Record<Span["kind"], number>> = { server: 2, client: 3 };
const errorStatus = { code: 2 };
const unsetStatus = {};

/**
 * Spans as the body of an OTLP request (opentelemetry-proto 1.x, JSON encoding): ids in hexadecimal, 64-bit numbers as
 * texts, enumerations as numbers.
 */
export function otlpJson(resource: SpanResource, spans: readonly Span[]): string {
  const { serviceName, version, instanceId } = resource;
  const about = { "service.name": serviceName, "service.version": version, "service.instance.id": instanceId };
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(about) },
        scopeSpans: [{ scope: { name: "perch", version }, spans: spans.map(spanOf) }],
      },
    ],
  });
}

function spanOf(span: Span) {
  const { traceId, spanId, parentId, traceState, name, kind, startMs, durationMs, isError, attributes } = span;
  return {
    traceId,
    spanId,
    traceState: traceState === "" ? undefined : traceState,
    parentSpanId: parentId,
    name,
    kind: kinds[kind],
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(startMs + durationMs),
    attributes: attributesOf(attributes),
    status: isError ? errorStatus : unsetStatus,
  };
}

/** A double holds microseconds since 1970 exactly, and no nanoseconds. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}

function attributesOf(attributes: Readonly<Record<string, SpanValue | undefined>>) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

function anyValue(value: SpanValue) {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
