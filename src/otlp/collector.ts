import { Agent, request } from "undici";

/** Where spans are sent, as the configuration says. */
export interface CollectorSpec {
  readonly endpoint: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** What a collector made of a batch. */
export type Delivery =
  /** `rejected`: how many spans of it were refused. */
  | { readonly kind: "accepted"; readonly rejected: number; readonly why: string }
  | { readonly kind: "rejected"; readonly why: string }
  /** The same may be taken later. */
  | { readonly kind: "later"; readonly afterMs: number | undefined; readonly why: string };

/** As OpenTelemetry's exporters by default. */
const timeoutMs = 10_000;
const mostAnswerBytes = 64 * 1024;

/** Of OTLP over HTTP, the answers that ask for another try. */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Speaks OTLP over HTTP with one collector. */
export class Collector {
  readonly spec: CollectorSpec;
  readonly #agent = new Agent({ connections: 1, connect: { timeout: timeoutMs }, maxResponseSize: mostAnswerBytes });

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

/** Seconds or a date (RFC 9110 §10.2.3); a date is left to the exporter's own pace. */
function waitMs(retryAfter: string | string[] | undefined): number | undefined {
  return typeof retryAfter === "string" && /^\d{1,5}$/.test(retryAfter) ? Number(retryAfter) * 1000 : undefined;
}

/** A collector may take a batch and refuse some of its spans. */
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
