import type { Dispatcher } from "undici";
import type { MirrorOutcome } from "../../observe/mirror-cells.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { Mirror, MirrorOrder } from "../mirroring.ts";
import { failureOf } from "./forward.ts";
import { MirrorBody } from "./mirror-body.ts";
import type { UpstreamPool } from "./pools.ts";

/** Of an answer that nobody waits for, so much is read, so that its connection can be kept; beyond, the connection ends. */
const mostAnswerBytes = 1024 * 1024;
/** How long an answer may last behind its head: an endless one would hold its place for ever. */
const answerMs = 30_000;

/** One copy of a request, sent through undici; its answer is read, timed and thrown away. */
export class MirrorRequest implements Mirror, Dispatcher.DispatchHandler {
  readonly #order: MirrorOrder;
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
    order: MirrorOrder,
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
    order.mirroring.cells.inFlight.value++;
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

  octets(octets: Buffer): void {
    if (this.#isOver) return;
    const added = this.#body?.add(octets) ?? "added";
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
    if (this.#answerBytes > mostAnswerBytes) this.#leave();
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
    const { cells } = this.#order.mirroring;
    cells.duration.observe((this.#monotonicMs() - this.#startedMs) / 1000);
    this.#end(classOf(this.#status));
  }

  #end(outcome: MirrorOutcome): void {
    const { cells } = this.#order.mirroring;
    this.#isOver = true;
    clearTimeout(this.#timer);
    cells.inFlight.value--;
    cells.ended(outcome);
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
