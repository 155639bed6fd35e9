import { Agent, request } from "undici";
import type { SpanStats } from "./process-stats.ts";
import type { Span, SpanSink, SpanValue } from "./span.ts";

export interface ExporterParts {
  readonly stats: SpanStats;
  readonly resource: Omit<SpanResource, "serviceName">;
  /** Called when the collector starts to fail; once until it accepts spans again. */
  readonly onTrouble: (why: string) => void;
  readonly randomFraction: () => number;
  /** Maximum delay before a partial batch is sent; default 2 s. */
  readonly intervalMs?: number;
  /** Initial retry backoff, doubled on each retry; default 1 s. */
  readonly retryMs?: number;
}

/** The collector, and the service name in the spans. */
export interface ExporterSpec {
  readonly serviceName: string;
  readonly collector: CollectorSpec;
}

const maxWaiting = 4_096;
const batchSize = 512;
const maxTries = 5;
const maxWaitMs = 30_000;

/** A reload removed the collector. */
const gone: Delivery = { kind: "later", afterMs: undefined, why: "no collector is configured any more" };

/**
 * Sends spans to a collector in batches, asynchronously: requests never wait for it. Spans that cannot be delivered are
 * dropped and counted.
 *
 * OpenTelemetry's own exporter is not used: with its SDK it is a dozen packages and several megabytes, and it relies on
 * asynchronous context propagation, which a proxy does not need. OTLP's JSON encoding is stable, and every collector
 * accepts it.
 */
export class SpanExporter implements SpanSink {
  readonly #parts: ExporterParts;
  #serviceName = "";
  #collector: Collector | undefined;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #isTroubled = false;
  #wake: (() => void) | undefined;
  #isDestroyed = false;

  constructor(parts: ExporterParts) {
    this.#parts = parts;
  }

  /** Applies a reload. Queued spans go to the new collector; without one they are dropped. */
  configure(spec: ExporterSpec | undefined): void {
    this.#serviceName = spec?.serviceName ?? "";
    if (JSON.stringify(this.#collector?.spec) === JSON.stringify(spec?.collector)) return;
    this.#collector?.destroy().catch(() => {});
    this.#collector = spec && new Collector(spec.collector);
    if (spec === undefined) this.#drop("undelivered", this.#waiting.splice(0));
  }

  add(spans: readonly Span[]): void {
    if (this.#collector === undefined || this.#isDestroyed) return;
    if (this.#waiting.length + spans.length > maxWaiting) {
      this.#drop("overflow", spans);
      return;
    }
    this.#waiting.push(...spans);
    if (this.#waiting.length >= batchSize) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), this.#parts.intervalMs ?? 2_000).unref();
  }

  /** Resolves once the queue is empty, or after the timeout. */
  async flush(withinMs: number): Promise<void> {
    this.#send();
    if (this.#sending === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    await Promise.race([this.#sending, promise]);
    clearTimeout(timer);
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    clearTimeout(this.#timer);
    this.#wake?.();
    await this.#collector?.destroy();
    await this.#sending;
    this.#drop("undelivered", this.#waiting.splice(0));
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#isDestroyed) await this.#deliver(this.#waiting.splice(0, batchSize));
  }

  async #deliver(spans: readonly Span[]): Promise<void> {
    const { resource, retryMs = 1_000 } = this.#parts;
    const body = otlpJson({ ...resource, serviceName: this.#serviceName }, spans);
    for (let tries = 1; ; tries++) {
      const delivery = (await this.#collector?.deliver(body)) ?? gone;
      if (delivery.kind !== "later") {
        this.#settled(spans, delivery);
        return;
      }
      if (this.#collector === undefined || tries === maxTries || this.#isDestroyed) {
        this.#drop("undelivered", spans);
        this.#trouble(delivery.why);
        return;
      }
      // Half of the delay is random, so that workers and replicas do not retry in step.
      const pace = retryMs * 2 ** (tries - 1) * (1 + this.#parts.randomFraction()) * 0.75;
      await this.#rest(Math.min(Math.max(pace, delivery.afterMs ?? 0), maxWaitMs));
    }
  }

  #settled(spans: readonly Span[], delivery: Exclude<Delivery, { kind: "later" }>): void {
    const { stats } = this.#parts;
    const rejected = delivery.kind === "accepted" ? Math.min(delivery.rejected, spans.length) : spans.length;
    stats.count("exported", spans.length - rejected);
    stats.count("rejected", rejected);
    if (rejected > 0) this.#trouble(delivery.why);
    else this.#isTroubled = false;
  }

  async #rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms).unref();
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  #trouble(why: string): void {
    if (!this.#isTroubled) this.#parts.onTrouble(why);
    this.#isTroubled = true;
  }

  #drop(outcome: "undelivered" | "overflow", spans: readonly Span[]): void {
    this.#parts.stats.count(outcome, spans.length);
  }
}

/** The configured collector. */
export interface CollectorSpec {
  readonly endpoint: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** The result of sending a batch. */
export type Delivery =
  /** `rejected`: the number of spans that the collector refused. */
  | { readonly kind: "accepted"; readonly rejected: number; readonly why: string }
  | { readonly kind: "rejected"; readonly why: string }
  /** The batch may be accepted on a retry. */
  | { readonly kind: "later"; readonly afterMs: number | undefined; readonly why: string };

/** The default of OpenTelemetry's exporters. */
const timeoutMs = 10_000;
const maxAnswerBytes = 64 * 1024;

/** The retryable status codes of OTLP over HTTP. */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** An OTLP/HTTP client for one collector. */
export class Collector {
  readonly spec: CollectorSpec;
  readonly #agent = new Agent({ connections: 1, connect: { timeout: timeoutMs }, maxResponseSize: maxAnswerBytes });

  constructor(spec: CollectorSpec) {
    this.spec = spec;
  }

  /** Never rejects. */
  async deliver(body: string): Promise<Delivery> {
    const { endpoint, headers } = this.spec;
    try {
      const answer = await request(endpoint, {
        dispatcher: this.#agent,
        method: "POST",
        headers: { ...Object.fromEntries(headers), "content-type": "application/json" },
        body,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      const text = await answer.body.text();
      return deliveryOf(answer.statusCode, answer.headers["retry-after"], text);
    } catch (error) {
      return { kind: "later", afterMs: undefined, why: error instanceof Error ? error.message : String(error) };
    }
  }

  async destroy(): Promise<void> {
    await this.#agent.destroy();
  }
}

function deliveryOf(status: number, retryAfter: string | string[] | undefined, text: string): Delivery {
  if (retryable.has(status)) return { kind: "later", afterMs: waitMs(retryAfter), why: `it answered ${status}` };
  if (status < 200 || status > 299) return { kind: "rejected", why: `it answered ${status}` };
  const partial = partialSuccess(text);
  return { kind: "accepted", rejected: partial?.rejected ?? 0, why: partial?.why ?? "" };
}

/** Retry-After in seconds (RFC 9110 §10.2.3); a date is ignored in favour of the exporter's backoff. */
function waitMs(retryAfter: string | string[] | undefined): number | undefined {
  return typeof retryAfter === "string" && /^\d{1,5}$/.test(retryAfter) ? Number(retryAfter) * 1000 : undefined;
}

/** Partial success: a collector may accept a batch but reject some of its spans. */
function partialSuccess(text: string): { readonly rejected: number; readonly why: string } | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    const partial = fieldOf(answer, "partialSuccess");
    const rejected = Number(fieldOf(partial, "rejectedSpans") ?? 0);
    if (!Number.isSafeInteger(rejected) || rejected <= 0) return undefined;
    return { rejected, why: `it refused ${rejected} spans: ${String(fieldOf(partial, "errorMessage") ?? "")}` };
  } catch {
    return undefined;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

/** The OpenTelemetry resource: the sender of the spans. */
export interface SpanResource {
  readonly serviceName: string;
  /** Perch's version. */
  readonly version: string;
  /** Distinguishes replicas, and the workers of one replica. */
  readonly instanceId: string;
}

const kinds: Readonly<Record<Span["kind"], number>> = { server: 2, client: 3 };
const errorStatus = { code: 2 };
const unsetStatus = {};

/**
 * Spans as the body of an OTLP request (opentelemetry-proto 1.x, JSON encoding): ids in hexadecimal, 64-bit numbers as
 * strings, enumerations as numbers.
 */
function otlpJson(resource: SpanResource, spans: readonly Span[]): string {
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

/** A double holds microseconds since 1970 exactly, but not nanoseconds. */
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
