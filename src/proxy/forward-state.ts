import { type ErrorCode, errorTable } from "../errors.ts";
import { type Schedule, scheduleTimeout } from "../upstream/clock.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { AttemptFailure } from "./attempt-failure.ts";
import type { Attempts, NextAttempt } from "./attempts.ts";
import type { Exchange } from "./exchange.ts";
import type { PermitWaiter } from "./permit.ts";
import type { BodyState } from "./retry-policy.ts";

/**
 * How far a request has come:
 * - `waiting`: for the end of a delay, or for the part of its body that is sent along with its head;
 * - `queued`: for a permit within the version's limits;
 * - `connecting`: an endpoint is chosen, and nothing is sent to it yet;
 * - `sent`: the response is awaited, and the client has seen none;
 * - `responding`: the head of the final response was passed on;
 * - `ended`: all of the response was written, or none will be.
 */
export type ForwardPhase = "waiting" | "queued" | "connecting" | "sent" | "responding" | "ended";

/** The bytes of one forwarded request, which a lane moves. It decides nothing: it reports to a `ForwardState`, which calls back. */
export interface ForwardTransport {
  /** Whether enough of the body has come to send the request. */
  readonly isReady: boolean;
  readonly bodyState: BodyState;
  /** Whether part of the body is still to come from the client. */
  readonly awaitsBody: boolean;
  /** Whether the client has yet to read what was written to it. */
  readonly clientIsBehind: boolean;
  /** Sends the request to this endpoint. */
  send(endpoint: Endpoint): void;
  /** The request waits for a permit, which has a time limit of its own. */
  queued(): void;
  /** Gives the upstream connection of the present attempt up, if there is one. */
  abandonAttempt(): void;
  /** Answers with this error; the client has seen nothing of a response. */
  reply(error: ErrorCode): void;
  /** Aborts the response under way, so that the client cannot take it for a whole one. */
  cut(): void;
}

/**
 * The course of one forwarded request, in every lane: when it is sent, whether a failed attempt is repeated, what a timeout
 * means, and with which error it ends. Delays, retries and time limits are decided here and nowhere else.
 */
export class ForwardState implements PermitWaiter {
  phase: ForwardPhase = "waiting";
  /** Whether the request is being sent apart from the event that brought it. */
  isDeferred = false;
  readonly #exchange: Exchange;
  readonly #attempts: Attempts;
  readonly #transport: ForwardTransport;
  readonly #defect: (error: unknown) => void;
  #cancelHold: (() => void) | undefined;
  #cancelTotal: (() => void) | undefined;
  /** The time for the whole request is over: no further attempt. */
  #expired = false;
  /** Why the response was cut. */
  #cutError: ErrorCode | undefined;

  constructor(exchange: Exchange, attempts: Attempts, transport: ForwardTransport, defect: (error: unknown) => void) {
    this.#exchange = exchange;
    this.#attempts = attempts;
    this.#transport = transport;
    this.#defect = defect;
  }

  /** Whether an injected delay holds the request. */
  get isHeld(): boolean {
    return this.#cancelHold !== undefined;
  }

  /** Starts the time limits. `totalMs`: for the whole request; 0: none. */
  start(totalMs: number, schedule: Schedule = scheduleTimeout): void {
    if (totalMs > 0) this.#cancelTotal = schedule(totalMs, () => this.#totalExceeded());
    const { delayMs } = this.#exchange;
    if (delayMs > 0) this.#cancelHold = scheduleTimeout(delayMs, () => this.#holdOver());
  }

  /** Tries the first endpoint, unless the request is held, is not ready or was begun. */
  begin(): void {
    if (this.phase === "waiting" && !this.isHeld && this.#transport.isReady) this.#try(this.#attempts.next(this));
  }

  #holdOver(): void {
    this.#cancelHold = undefined;
    if (this.#transport.isReady) this.onPermit();
  }

  /** A permit is often granted while another request ends, whose connection can be used only after this event. */
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
    if (typeof next !== "string") this.sendTo(next);
    else if (next === "queued") {
      this.phase = "queued";
      this.#transport.queued();
    } else this.#reply(next);
  }

  sendTo(endpoint: Endpoint): void {
    this.phase = "connecting";
    this.#attempts.started(endpoint);
    this.#transport.send(endpoint);
  }

  /** The endpoint to ask again in place of passing on a response of this status; undefined: pass it on. */
  retryInsteadOf(status: number): Endpoint | undefined {
    return this.#attempts.retryInsteadOf(status, this.#transport.bodyState);
  }

  /** The head of the final response is passed on. `verdict`: whether its status says how the request ended. */
  responseStarted(status: number, verdict: "judged" | "to be judged" = "judged"): void {
    this.phase = "responding";
    this.#attempts.answered(status, verdict);
  }

  /** The present attempt failed: it is repeated where that is allowed, else the request ends with the failure. */
  attemptFailed(failure: AttemptFailure, error?: Error): void {
    if (this.phase === "ended") return;
    const { bodyState } = this.#transport;
    this.#transport.abandonAttempt();
    this.#attempts.failed(failure, error);
    if (this.phase === "responding") this.#cut(failure);
    else if (this.#expired) this.#reply(failure);
    else this.#try(this.#attempts.again(bodyState, this));
  }

  /** No connection could be made for lack of descriptors, ports or memory: no endpoint failed. */
  resourcesExhausted(): void {
    if (this.phase === "ended") return;
    this.#transport.abandonAttempt();
    this.#reply(this.#attempts.resourcesExhausted());
  }

  /** Ends the request for a reason that is not the upstream's. */
  abort(error: ErrorCode): void {
    if (this.phase === "ended") return;
    this.#transport.abandonAttempt();
    if (this.phase === "responding") this.#cut(error);
    else this.#reply(error);
  }

  /** A defect of Perch ends this request and no other. */
  defect(error: unknown): void {
    this.#defect(error);
    this.abort("internal-error");
  }

  /** The present step took too long. Whose step it was decides what that means. */
  stepExceeded(upstreamIsBehind: boolean): void {
    if (this.phase === "ended" || this.#transport.clientIsBehind) this.clientStalled();
    else if (this.#attempts.count === 0) this.abort("request-timeout");
    else if (this.phase === "connecting") this.attemptFailed("connect-timeout");
    else if (this.#transport.awaitsBody && !upstreamIsBehind) this.abort("request-timeout");
    else this.attemptFailed("upstream-timeout");
  }

  #totalExceeded(): void {
    this.#expired = true;
    if (this.phase === "ended" || this.#transport.clientIsBehind) this.clientStalled();
    else if (this.phase !== "responding" && this.#transport.awaitsBody) this.abort("request-timeout");
    else if (this.phase === "waiting" || this.phase === "queued") this.abort("upstream-timeout");
    else this.attemptFailed("upstream-timeout");
  }

  /** The client does not read what it is sent. */
  clientStalled(): void {
    this.#cut("client-closed");
  }

  #cut(error: ErrorCode): void {
    this.#cutError = error;
    this.#transport.cut();
  }

  #reply(error: ErrorCode): void {
    this.phase = "ended";
    this.#exchange.error = error;
    this.#transport.reply(error);
  }

  /** The error that the request ends with. `incomplete`: the client did not get all of the response. */
  endError(end: "complete" | "incomplete"): ErrorCode | undefined {
    return this.#cutError ?? (end === "complete" ? this.#exchange.error : "client-closed");
  }

  /** Ends the exchange. `status` is that of the response. */
  end(end: "complete" | "incomplete", status: number): void {
    this.phase = "ended";
    this.#cancelHold?.();
    this.#cancelTotal?.();
    const error = this.endError(end);
    this.#exchange.end(error === "client-closed" ? errorTable[error].status : status, error);
  }
}
