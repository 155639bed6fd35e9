import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { MirrorOutcome } from "../../observe/mirror-stats.ts";
import { nextUsable } from "../../upstream/balancers.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { Mirror, MirroredRequest, Mirrors } from "../mirror.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { UpstreamPool } from "./transport.ts";
import { failureOf } from "./undici-errors.ts";
import { UpstreamPools } from "./upstream-pool.ts";

/**
 * Sends the mirrored requests of both lanes. It has its own connections, so that they never take one from a client's
 * request, and it updates no endpoint: neither requests in flight nor health.
 */
export class MirrorSender implements Mirrors {
  readonly #pools: UpstreamPools;
  readonly #active = new Set<MirrorRequest>();
  #settled: (() => void) | undefined;

  constructor(nowMs: () => number) {
    this.#pools = new UpstreamPools(nowMs);
  }

  begin(order: MirroredRequest, context: ProxyContext): Mirror | undefined {
    const { spec, stats, version, service } = order.mirroring;
    if (stats.inFlight.value >= spec.maxInFlight) {
      stats.ended("skipped-in-flight");
      return undefined;
    }
    if (typeof order.body === "number" && order.body > spec.maxBodyBytes) {
      stats.ended("skipped-body-size");
      return undefined;
    }
    const endpoint = anyUsable(version.endpoints.current, context);
    if (endpoint === undefined) {
      stats.ended("skipped-no-endpoint");
      return undefined;
    }
    const request = new MirrorRequest(order, endpoint, () => context.monotonicMs(), this.#onEnd);
    this.#active.add(request);
    // Deferred, so that the client's request is written first.
    setImmediate(() => {
      request.send(this.#pools.get(endpoint, service));
      if (endpoint.retired) this.#pools.retire(endpoint);
    });
    return request;
  }

  /** For an endpoint that no snapshot contains any more. */
  retire(endpoint: Endpoint): void {
    this.#pools.retire(endpoint);
  }

  /** Resolves once no mirrored request is in flight, or after `timeoutMs`. */
  async settled(timeoutMs: number): Promise<void> {
    if (this.#active.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settled = resolve;
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }

  /** Aborts mirrored requests in flight. */
  async destroy(): Promise<void> {
    for (const request of this.#active) request.abandon("abandoned-shutdown");
    await this.#pools.destroy();
  }

  readonly #onEnd = (request: MirrorRequest): void => {
    this.#active.delete(request);
    if (this.#active.size === 0) this.#settled?.();
  };
}

/** Does not use the version's balancer, whose state must not depend on mirrored requests. */
function anyUsable(endpoints: readonly Endpoint[], context: ProxyContext): Endpoint | undefined {
  const { randomFraction } = context;
  const start = Math.floor(randomFraction() * endpoints.length);
  return nextUsable(endpoints, start, { nowMs: context.nowMs(), tried: [], affinity: undefined, randomFraction });
}

/** Responses are read up to this size, so that the connection can be reused. Larger ones are aborted. */
const maxResponseBytes = 1024 * 1024;
/** Time limit of a response body: an endless one would count as in flight forever. */
const maxResponseMs = 30_000;

/** One mirrored request. Its response is timed and discarded. */
class MirrorRequest implements Mirror, Dispatcher.DispatchHandler {
  readonly #order: MirroredRequest;
  readonly #headers: readonly string[];
  readonly #servername: string;
  readonly #monotonicMs: () => number;
  readonly #onEnd: (request: MirrorRequest) => void;
  readonly #body: MirrorBody | undefined;
  #startedMs = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #responseBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(
    order: MirroredRequest,
    endpoint: Endpoint,
    monotonicMs: () => number,
    onEnd: (request: MirrorRequest) => void,
  ) {
    this.#order = order;
    this.#headers = order.headersFor(endpoint);
    this.#servername = endpoint.address.host;
    this.#monotonicMs = monotonicMs;
    this.#onEnd = onEnd;
    if (order.body !== "none") this.#body = new MirrorBody(order.mirroring.spec.maxBodyBytes);
    order.mirroring.stats.inFlight.value++;
  }

  send(pool: UpstreamPool): void {
    if (this.#isOver) return;
    const { method, target, body, mirroring } = this.#order;
    const headers = this.#headers;
    const { responseHeadersMs, idleMs } = mirroring.service.timeouts;
    this.#startedMs = this.#monotonicMs();
    const framed = typeof body === "number" ? [...headers, "content-length", String(body)] : [...headers];
    const request = {
      method,
      path: target,
      headers: framed,
      body: this.#body ?? null,
      servername: this.#servername,
      headersTimeout: responseHeadersMs,
      bodyTimeout: idleMs,
    };
    pool.dispatch(request, this);
  }

  bytes(bytes: Buffer): void {
    if (this.#isOver) return;
    const added = this.#body?.add(bytes) ?? "added";
    if (added !== "added") this.abandon(`abandoned-${added}`);
  }

  bodyEnded(): void {
    if (!this.#isOver) this.#body?.end();
  }

  requestEnded(): void {
    if (this.#body?.isWhole === false) this.abandon("abandoned-request");
  }

  /** Aborts it, so that the upstream cannot take it for a complete request. */
  abandon(outcome: MirrorOutcome): void {
    if (this.#isOver) return;
    this.#end(outcome);
    this.#abort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) this.#abort();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200 || this.#isOver) return;
    this.#status = status;
    this.#timer = setTimeout(() => this.#discardRest(), maxResponseMs).unref();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#responseBytes += chunk.length;
    if (this.#responseBytes > maxResponseBytes) this.#discardRest();
  }

  onResponseEnd(): void {
    this.#completed();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (!this.#isOver) this.#end(failureOf(error, this.#controller !== undefined));
    this.#body?.destroy();
  }

  /** Records the response by its head and aborts the rest. */
  #discardRest(): void {
    this.#completed();
    this.#abort();
  }

  #completed(): void {
    if (this.#isOver) return;
    const { stats } = this.#order.mirroring;
    stats.duration.observe((this.#monotonicMs() - this.#startedMs) / 1000);
    this.#end(classOf(this.#status));
  }

  #end(outcome: MirrorOutcome): void {
    const { stats } = this.#order.mirroring;
    this.#isOver = true;
    clearTimeout(this.#timer);
    stats.inFlight.value--;
    stats.ended(outcome);
    this.#onEnd(this);
  }

  #abort(): void {
    const error = new Error("the mirrored request was aborted");
    if (this.#controller === undefined) this.#body?.destroy(error);
    else this.#controller.abort(error);
  }
}

function classOf(status: number): MirrorOutcome {
  if (status < 300) return "2xx";
  if (status < 400) return "3xx";
  return status < 500 ? "4xx" : "5xx";
}

/** Memory overhead counted for each chunk, so that many tiny chunks cannot exhaust memory. */
const chunkOverheadBytes = 128;

/** Maximum bytes of a body that are buffered for a slow upstream. */
const maxBufferedBytes = 1024 * 1024;

/** The body of a mirrored request. Buffers, and never applies backpressure to the client's request. */
class MirrorBody extends Readable {
  readonly #limitBytes: number;
  #buffered: Buffer[] = [];
  #bufferedBytes = 0;
  #bytes = 0;
  #isReadPending = false;
  #isComplete = false;

  constructor(limitBytes: number) {
    super();
    this.#limitBytes = limitBytes;
    // An error may occur after the reader has detached. Without a listener it would end the process.
    this.on("error", () => {});
  }

  get isWhole(): boolean {
    return this.#isComplete;
  }

  /** `body-size` and `slow`: the mirrored request must be abandoned. */
  add(bytes: Buffer): "added" | "body-size" | "slow" {
    this.#bytes += bytes.length;
    this.#bufferedBytes += bytes.length + chunkOverheadBytes;
    this.#buffered.push(bytes);
    if (this.#bytes > this.#limitBytes) return "body-size";
    if (this.#isReadPending) this.#pass();
    return this.#bufferedBytes + this.readableLength > maxBufferedBytes + chunkOverheadBytes ? "slow" : "added";
  }

  end(): void {
    this.#isComplete = true;
    if (this.#isReadPending) this.#pass();
  }

  override _read(): void {
    this.#isReadPending = true;
    this.#pass();
  }

  #pass(): void {
    const chunks = this.#buffered;
    const [first] = chunks;
    if (first === undefined) {
      if (this.#isComplete) this.push(null);
      return;
    }
    this.#buffered = [];
    this.#bufferedBytes = 0;
    this.#isReadPending = false;
    this.push(chunks.length === 1 ? first : Buffer.concat(chunks));
  }
}
