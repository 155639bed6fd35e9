import type { Span, SpanSink } from "../observe/span.ts";
import type { SpanCells } from "../observe/span-cells.ts";
import { Collector, type CollectorSpec, type Delivery } from "./collector.ts";
import { otlpJson, type SpanResource } from "./otlp-json.ts";

export interface ExporterParts {
  readonly cells: SpanCells;
  readonly resource: Omit<SpanResource, "serviceName">;
  /** Hears of a collector that takes nothing, once until it takes something again. */
  readonly onTrouble: (why: string) => void;
  readonly randomFraction: () => number;
  /** How long spans wait for others to go along with; default 2 s. */
  readonly intervalMs?: number;
  /** The first wait before another try, doubled each time; default 1 s. */
  readonly retryMs?: number;
}

/** What is sent, and under which name. */
export interface ExporterSpec {
  readonly serviceName: string;
  readonly collector: CollectorSpec;
}

const mostWaiting = 4_096;
const batchSize = 512;
const mostTries = 5;
const longestWaitMs = 30_000;

/** A reload took the collector away. */
const gone: Delivery = { kind: "later", afterMs: undefined, why: "no collector is configured any more" };

/**
 * Sends spans to a collector in batches, beside the requests: nobody waits for it, and what it can not deliver is dropped
 * and counted.
 *
 * Not OpenTelemetry's own exporter: with its SDK it is a dozen packages and several megabytes, makes spans by context
 * propagation through asynchronous calls, which a proxy that knows its spans does not need, and protobuf or not, what it
 * sends is this one document. OTLP's JSON encoding is stable and every collector takes it.
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

  /** Follows the configuration. Spans that wait go to the new collector; without one they are dropped. */
  configure(spec: ExporterSpec | undefined): void {
    this.#serviceName = spec?.serviceName ?? "";
    if (JSON.stringify(this.#collector?.spec) === JSON.stringify(spec?.collector)) return;
    this.#collector?.destroy().catch(() => {});
    this.#collector = spec && new Collector(spec.collector);
    if (spec === undefined) this.#drop("undelivered", this.#waiting.splice(0));
  }

  add(spans: readonly Span[]): void {
    if (this.#collector === undefined || this.#isDestroyed) return;
    if (this.#waiting.length + spans.length > mostWaiting) {
      this.#drop("overflow", spans);
      return;
    }
    this.#waiting.push(...spans);
    if (this.#waiting.length >= batchSize) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), this.#parts.intervalMs ?? 2_000).unref();
  }

  /** Resolves once nothing waits any more, or after so long. */
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
      if (this.#collector === undefined || tries === mostTries || this.#isDestroyed) {
        this.#drop("undelivered", spans);
        this.#trouble(delivery.why);
        return;
      }
      // Half of it at random, so that the workers and replicas that failed together do not return together.
      const pace = retryMs * 2 ** (tries - 1) * (1 + this.#parts.randomFraction()) * 0.75;
      await this.#rest(Math.min(Math.max(pace, delivery.afterMs ?? 0), longestWaitMs));
    }
  }

  #settled(spans: readonly Span[], delivery: Exclude<Delivery, { kind: "later" }>): void {
    const { cells } = this.#parts;
    const rejected = delivery.kind === "accepted" ? Math.min(delivery.rejected, spans.length) : spans.length;
    cells.count("exported", spans.length - rejected);
    cells.count("rejected", rejected);
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
    this.#parts.cells.count(outcome, spans.length);
  }
}
