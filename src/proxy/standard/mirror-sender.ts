import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { MirrorOutcome } from "../../observe/mirror-stats.ts";
import { nextUsable } from "../../upstream/balancers.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { Mirror, MirroredRequest, Mirrors } from "../mirror.ts";
import type { ProxyContext } from "../proxy-context.ts";
import { failureOf } from "./forward.ts";
import type { UpstreamPool } from "./transport.ts";
import { UpstreamPools } from "./upstream-pool.ts";

/**
 * Sends copies of requests, whichever lane serves them. Its connections are its own, so that a copy never takes one from a
 * request, and it tells endpoints nothing: neither what they have in flight nor whether they can be reached.
 */
export class MirrorSender implements Mirrors {
  readonly #pools = new UpstreamPools();
  readonly #active = new Set<MirrorRequest>();
  #settled: (() => void) | undefined;

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
    // In a turn of its own: whatever the request still has to write in this one goes first.
    setImmediate(() => {
      request.send(this.#pools.get(endpoint, service));
      if (endpoint.retired) this.#pools.retire(endpoint);
    });
    return request;
  }

  /** No snapshot names it any more. */
  retire(endpoint: Endpoint): void {
    this.#pools.retire(endpoint);
  }

  /** Resolves once no copy is under way, or after so long. */
  async settled(withinMs: number): Promise<void> {
    if (this.#active.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settled = resolve;
    const timer = setTimeout(resolve, withinMs);
    await promise;
    clearTimeout(timer);
  }

  /** Breaks off whatever is still under way. */
  async destroy(): Promise<void> {
    for (const request of this.#active) request.abandon("abandoned-shutdown");
    await this.#pools.destroy();
  }

  readonly #onEnd = (request: MirrorRequest): void => {
    this.#active.delete(request);
    if (this.#active.size === 0) this.#settled?.();
  };
}

/** Not by the version's balancer, which remembers whom it chose. */
function anyUsable(endpoints: readonly Endpoint[], context: ProxyContext): Endpoint | undefined {
  const { randomFraction } = context;
  const start = Math.floor(randomFraction() * endpoints.length);
  return nextUsable(endpoints, start, { nowMs: context.nowMs(), tried: [], affinity: undefined, randomFraction });
}

/** Of an answer that nobody waits for, so much is read, so that its connection can be kept; beyond, the connection ends. */
const maxAnswerBytes = 1024 * 1024;
/** How long an answer may last behind its head: an endless one would hold its place for ever. */
const answerMs = 30_000;

/** One copy of a request, sent through undici; its answer is read, timed and thrown away. */
export class MirrorRequest implements Mirror, Dispatcher.DispatchHandler {
  readonly #order: MirroredRequest;
  readonly #headers: readonly string[];
  readonly #servername: string;
  readonly #monotonicMs: () => number;
  readonly #onEnd: (request: MirrorRequest) => void;
  readonly #body: MirrorBody | undefined;
  #startedMs = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #answerBytes = 0;
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

  /** Breaks it off, so that its upstream sees no whole request. */
  abandon(outcome: MirrorOutcome): void {
    if (this.#isOver) return;
    this.#end(outcome);
    this.#breakOff();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) this.#breakOff();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200 || this.#isOver) return;
    this.#status = status;
    this.#timer = setTimeout(() => this.#leave(), answerMs).unref();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#answerBytes += chunk.length;
    if (this.#answerBytes > maxAnswerBytes) this.#leave();
  }

  onResponseEnd(): void {
    this.#answered();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (!this.#isOver) this.#end(failureOf(error, this.#controller !== undefined));
    this.#body?.destroy();
  }

  /** The rest of an answer is left where it is; what is known of it by now counts. */
  #leave(): void {
    this.#answered();
    this.#breakOff();
  }

  #answered(): void {
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

  #breakOff(): void {
    const error = new Error("the copy was given up");
    if (this.#controller === undefined) this.#body?.destroy(error);
    else this.#controller.abort(error);
  }
}

function classOf(status: number): MirrorOutcome {
  if (status < 300) return "2xx";
  if (status < 400) return "3xx";
  return status < 500 ? "4xx" : "5xx";
}

/** What a piece costs beside its bytes, so that a body of single bytes can not fill the memory with their buffers. */
const pieceBytes = 128;

/** Bytes of a copy's body that may wait for its upstream. */
const maxWaitingBytes = 1024 * 1024;

/** A copy's body: takes what it is given at once, and never asks anybody to wait. */
export class MirrorBody extends Readable {
  readonly #limitBytes: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #bytes = 0;
  #isAsked = false;
  #isWhole = false;

  constructor(limitBytes: number) {
    super();
    this.#limitBytes = limitBytes;
    // Whoever read it may have let go of it by the time it breaks.
    this.on("error", () => {});
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Says why it is given up with these. */
  add(bytes: Buffer): "added" | "body-size" | "slow" {
    this.#bytes += bytes.length;
    this.#waitingBytes += bytes.length + pieceBytes;
    this.#waiting.push(bytes);
    if (this.#bytes > this.#limitBytes) return "body-size";
    if (this.#isAsked) this.#pass();
    return this.#waitingBytes + this.readableLength > maxWaitingBytes + pieceBytes ? "slow" : "added";
  }

  end(): void {
    this.#isWhole = true;
    if (this.#isAsked) this.#pass();
  }

  override _read(): void {
    this.#isAsked = true;
    this.#pass();
  }

  #pass(): void {
    const pieces = this.#waiting;
    const [only] = pieces;
    if (only === undefined) {
      if (this.#isWhole) this.push(null);
      return;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#isAsked = false;
    this.push(pieces.length === 1 ? only : Buffer.concat(pieces));
  }
}
