import { type ErrorCode, errorTable, firstCause } from "../errors.ts";
import { type Schedule, scheduleTimeout } from "../upstream/clock.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import { type AttemptFailure, causeOf } from "./attempt-failure.ts";
import type { Attempts, NextAttempt } from "./attempts.ts";
import type { Exchange } from "./exchange.ts";
import type { Refusal } from "./local-reply.ts";
import type { PermitWaiter } from "./permit.ts";
import type { BodyState } from "./retry-policy.ts";

/**
 * The phase of a forwarded request:
 * - `waiting`: for the end of an injected delay, or for the part of the body that is sent together with the head;
 * - `queued`: for a permit within the version's limits;
 * - `connecting`: an endpoint is chosen, nothing was sent to it yet;
 * - `sent`: waits for the response head;
 * - `responding`: the head of the final response was forwarded;
 * - `ended`: the whole response was written, or none will be.
 */
export type ForwardPhase = "waiting" | "queued" | "connecting" | "sent" | "responding" | "ended";

/** The I/O of one forwarded request, implemented by each lane. It reports events to a `ForwardState`, which decides. */
export interface ForwardTransport {
  /** Whether enough of the body has arrived to send the request. */
  readonly isReady: boolean;
  readonly bodyState: BodyState;
  /** Whether the client has yet to send part of the body. */
  readonly awaitsBody: boolean;
  /** Whether the client has yet to read data that was written to it. */
  readonly clientIsBehind: boolean;
  send(endpoint: Endpoint): void;
  /** The request waits for a permit. The limiter has its own timeout for that. */
  queued(): void;
  /** Abandons the upstream connection of the current attempt, if there is one. */
  abandonAttempt(): void;
  /** Sends a local reply. No part of a response was sent before. */
  reply(refusal: Refusal): void;
  /** Aborts the response in progress, so that the client cannot mistake it for a complete one. */
  cut(): void;
}

/**
 * The state machine of one forwarded request, shared by both lanes: when it is sent, whether a failed attempt is retried,
 * what a timeout means, and with which error it ends. Delays, retries and timeouts are decided only here.
 */
export class ForwardState implements PermitWaiter {
  phase: ForwardPhase = "waiting";
  /** Whether the request is being sent in a later event than the one that received it. */
  isDeferred = false;
  #exchange!: Exchange;
  #attempts!: Attempts;
  readonly #transport: ForwardTransport;
  readonly #defect: (error: unknown) => void;
  #cancelHold: (() => void) | undefined;
  #cancelTotal: (() => void) | undefined;
  /** Why the response was aborted. */
  #cutError: ErrorCode | undefined;

  constructor(transport: ForwardTransport, defect: (error: unknown) => void) {
    this.#transport = transport;
    this.#defect = defect;
  }

  /** For a request. One that the same transport sent before must have ended. */
  restart(exchange: Exchange, attempts: Attempts): void {
    this.#exchange = exchange;
    this.#attempts = attempts;
    this.phase = "waiting";
    this.isDeferred = false;
    this.#cancelHold = undefined;
    this.#cancelTotal = undefined;
    this.#cutError = undefined;
  }

  /** Whether an injected delay holds the request. */
  get isHeld(): boolean {
    return this.#cancelHold !== undefined;
  }

  /** Starts the total timeout and the injected delay. `totalMs` 0: no timeout. */
  start(totalMs: number, schedule: Schedule = scheduleTimeout): void {
    const { delayMs, limitWaitMs } = this.#exchange;
    if (totalMs > 0) {
      this.#cancelTotal = schedule(Math.max(1, totalMs - limitWaitMs), () => this.#totalExceeded());
    }
    if (delayMs > 0) this.#cancelHold = scheduleTimeout(delayMs, () => this.#holdOver());
  }

  /** Starts the first attempt, unless the request is held, is not ready or has begun. */
  begin(): void {
    if (this.phase === "waiting" && !this.isHeld && this.#transport.isReady) this.#try(this.#attempts.next(this));
  }

  #holdOver(): void {
    this.#cancelHold = undefined;
    if (this.#transport.isReady) this.onPermit();
  }

  /** A permit is often granted while another request ends. Its connection is reusable only after the current event. */
  onPermit(): void {
    setImmediate(() => {
      if (this.phase === "ended") return;
      this.isDeferred = true;
      try {
        this.#try(this.#attempts.next(this));
      } catch (error) {
        this.defect(error);
      }
      this.isDeferred = false;
    });
  }

  #try(next: NextAttempt): void {
    if (next === "queued") {
      this.phase = "queued";
      this.#transport.queued();
    } else if ("error" in next) this.#reply(next);
    else this.sendTo(next);
  }

  sendTo(endpoint: Endpoint): void {
    this.phase = "connecting";
    this.#attempts.started(endpoint);
    this.#transport.send(endpoint);
  }

  /** The endpoint to retry at instead of forwarding a response with this status; undefined: forward it. */
  retryInsteadOf(status: number): Endpoint | undefined {
    return this.#attempts.retryInsteadOf(status, this.#transport.bodyState);
  }

  /** The head of the final response is forwarded. "to be judged": only the trailers carry the outcome, as in gRPC. */
  responseStarted(status: number, verdict: "judged" | "to be judged" = "judged"): void {
    this.phase = "responding";
    this.#attempts.answered(status, verdict);
  }

  /**
   * The current attempt failed. It is retried if allowed, else the request ends with the failure. `why`: the underlying
   * error, or the failure's cause.
   */
  attemptFailed(failure: AttemptFailure, why?: Error | string): void {
    if (this.phase === "ended") return;
    const { bodyState } = this.#transport;
    this.#transport.abandonAttempt();
    this.#attempts.failed(failure, this.#causeOf(failure, why));
    if (this.phase === "responding") this.#cut(failure);
    else this.#try(this.#attempts.again(bodyState, this));
  }

  /** Of a lost or a late response, the system's code says less than how far the response had come. */
  #causeOf(failure: AttemptFailure, why: Error | string | undefined): string | undefined {
    const isWithin = this.phase === "responding";
    if (failure === "upstream-reset") return isWithin ? "within-response" : "before-response";
    if (typeof why === "string") return why;
    if (failure === "upstream-timeout") return isWithin ? "idle" : "response-headers";
    return failure === "connect-timeout" ? undefined : causeOf(why);
  }

  /** No connection could be made: this process is out of descriptors, ports or memory. No endpoint failed. */
  resourcesExhausted(): void {
    if (this.phase === "ended") return;
    this.#transport.abandonAttempt();
    this.#reply(this.#attempts.resourcesExhausted());
  }

  /** Ends the request for a reason other than an upstream failure. */
  abort(error: ErrorCode, cause: string = firstCause(error)): void {
    if (this.phase === "ended") return;
    this.#transport.abandonAttempt();
    this.#exchange.failure = { error, cause };
    if (this.phase === "responding") this.#cut(error);
    else this.#reply(this.#exchange.failure);
  }

  /** A defect of Perch ends only this request. */
  defect(error: unknown): void {
    this.#defect(error);
    this.abort("internal-error");
  }

  /** The timeout of the current step expired. The error depends on which side the step waited for. */
  stepExceeded(upstreamIsBehind: boolean): void {
    if (this.phase === "ended" || this.#transport.clientIsBehind) this.clientStalled();
    else if (this.#attempts.count === 0) this.abort("request-timeout");
    else if (this.phase === "connecting") this.attemptFailed("connect-timeout");
    else if (this.#transport.awaitsBody && !upstreamIsBehind) this.abort("request-timeout");
    else this.attemptFailed("upstream-timeout");
  }

  #totalExceeded(): void {
    if (this.phase === "ended" || this.#transport.clientIsBehind) this.clientStalled();
    else if (this.phase !== "responding" && this.#transport.awaitsBody) this.abort("request-timeout");
    else if (this.phase === "waiting" || this.phase === "queued") this.abort("upstream-timeout", "total");
    else this.attemptFailed("upstream-timeout", "total");
  }

  /** The client stopped reading the response. */
  clientStalled(): void {
    this.#cut("client-closed");
  }

  #cut(error: ErrorCode): void {
    this.#cutError = error;
    this.#transport.cut();
  }

  #reply(refusal: Refusal): void {
    this.phase = "ended";
    this.#exchange.error = refusal.error;
    this.#transport.reply(refusal);
  }

  /** The error to record. `incomplete`: the client did not receive the whole response. */
  endError(end: "complete" | "incomplete"): ErrorCode | undefined {
    return this.#cutError ?? (end === "complete" ? this.#exchange.error : "client-closed");
  }

  /** Ends the exchange. `status` is that of the response; `client-closed` overrides it. */
  end(end: "complete" | "incomplete", status: number): void {
    this.phase = "ended";
    this.#cancelHold?.();
    this.#cancelTotal?.();
    const error = this.endError(end);
    this.#exchange.end(error === "client-closed" ? errorTable[error].status : status, error);
  }
}
