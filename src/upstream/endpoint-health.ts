import type { HealthThresholds, OutlierSpec } from "./service-spec.ts";

/** Why an endpoint gets no requests: its health checks fail, its responses were errors, or it refused connections. */
export type Outage = "failing" | "ejected" | "refused";

/** An endpoint's health. Plain data, which can be sent to another thread. */
export interface Condition {
  readonly state: "up" | Outage;
  /** A short reason; empty if the state never changed. */
  readonly why: string;
  /** Undefined if the state never changed. */
  readonly sinceMs: number | undefined;
}

export interface HealthState extends Condition {
  /** When a request may try it again: 0 while it is up, infinite while only a health check can bring it back. */
  readonly closedUntilMs: number;
}

/** The initial state. */
export const unknown: HealthState = Object.freeze({ state: "up", why: "", sinceMs: undefined, closedUntilMs: 0 });

/** First pause after a refused connection; each further refusal doubles it, up to the maximum. */
const minPauseMs = 1_000;
const maxPauseMs = 30_000;

/** Maximum ejection time, or `ejectFor` if that is longer. */
const maxEjectionMs = 300_000;

/** A trial request blocks further trials for at most this long. */
const trialMs = 5_000;

/**
 * Whether an endpoint gets requests, by the outcome of earlier ones (refused connections, error responses) and by its
 * health checks. Has no timers: when a pause or ejection is over, the first request becomes the trial.
 */
export class EndpointHealth {
  /** 0 while it is up, infinite while health checks fail. The only value read per request. */
  #closedUntilMs = 0;
  #refusals = 0;
  #pausedUntilMs = 0;
  #consecutiveFailures = 0;
  #ejections = 0;
  #ejectedUntilMs = 0;
  #returnedAtMs = 0;
  #checks: "unknown" | "passing" | "failing" = "unknown";
  #checksAgainst = 0;
  #isInTrial = false;
  #condition: Condition = unknown;
  readonly #changed: (condition: Condition) => void;

  /** `changed` is called on every change of state. */
  constructor(changed: (condition: Condition) => void) {
    this.#changed = changed;
  }

  get condition(): Condition {
    return this.#condition;
  }

  get belief(): HealthState {
    return { ...this.#condition, closedUntilMs: this.#closedUntilMs };
  }

  get up(): boolean {
    return this.#closedUntilMs === 0;
  }

  /** Whether a request may be sent: the endpoint is up, or its pause is over and this request may be the trial. */
  available(nowMs: number): boolean {
    return nowMs >= this.#closedUntilMs;
  }

  /** See `HealthState`. */
  get closedUntilMs(): number {
    return this.#closedUntilMs;
  }

  /** A request is being sent. If the endpoint was unhealthy, it is the trial, and others wait for its outcome. */
  begun(nowMs: number): void {
    if (this.#closedUntilMs === 0 || nowMs < this.#closedUntilMs) return;
    this.#isInTrial = true;
    if (this.#pausedUntilMs > 0) this.#pausedUntilMs = nowMs + trialMs;
    if (this.#ejectedUntilMs > 0) this.#ejectedUntilMs = nowMs + trialMs;
    this.#settle(nowMs, "");
  }

  /** A connection failed. Pauses the endpoint, twice as long after each further failure. */
  refused(nowMs: number, why = "connect-failed"): void {
    // Many requests may fail in the same outage; only the first lengthens the pause.
    if (nowMs < this.#pausedUntilMs && !this.#isInTrial) return;
    this.#pausedUntilMs = nowMs + Math.min(minPauseMs * 2 ** this.#refusals, maxPauseMs);
    this.#refusals++;
    this.#isInTrial = false;
    this.#settle(nowMs, why);
  }

  /** It responded, with any status: connections work. */
  reached(nowMs: number): void {
    if (this.#refusals === 0) return;
    this.#refusals = 0;
    this.#pausedUntilMs = 0;
    this.#settle(nowMs, "reached");
  }

  /** A request succeeded. Ends an ejection only if this was the trial: other requests were sent before the ejection. */
  succeeded(nowMs: number): void {
    this.#consecutiveFailures = 0;
    if (this.#ejectedUntilMs === 0 || !this.#isInTrial) return;
    this.#isInTrial = false;
    this.#ejectedUntilMs = 0;
    this.#returnedAtMs = nowMs;
    this.#settle(nowMs, "trial request succeeded");
  }

  /** A request failed. True if the endpoint should be ejected. */
  failed(nowMs: number, { consecutiveFailures }: OutlierSpec): boolean {
    if (this.#ejectedUntilMs > 0) return this.#isInTrial || nowMs >= this.#ejectedUntilMs;
    this.#consecutiveFailures++;
    return this.#consecutiveFailures >= consecutiveFailures;
  }

  get isEjected(): boolean {
    return this.#ejectedUntilMs > 0;
  }

  get isRefused(): boolean {
    return this.#refusals > 0;
  }

  /** Ejects it, longer each time. While it is up, one earlier ejection is forgotten per `ejectForMs`. */
  eject(nowMs: number, { ejectForMs }: OutlierSpec, why: string): void {
    const forgotten = this.isEjected ? 0 : Math.floor((nowMs - this.#returnedAtMs) / ejectForMs);
    this.#ejections = Math.max(0, this.#ejections - forgotten) + 1;
    const maxMs = Math.max(maxEjectionMs, ejectForMs);
    this.#ejectedUntilMs = nowMs + Math.min(ejectForMs * this.#ejections, maxMs);
    this.#consecutiveFailures = 0;
    this.#isInTrial = false;
    this.#settle(nowMs, why);
  }

  /** A health check ended. The first decides at once; later ones change the state after several in a row. */
  checked(nowMs: number, result: { readonly passed: boolean; readonly why: string }, after: HealthThresholds): void {
    const outcome = result.passed ? "passing" : "failing";
    if (result.passed) this.reached(nowMs);
    this.#checksAgainst = outcome === this.#checks ? 0 : this.#checksAgainst + 1;
    const needed = this.#checks === "unknown" ? 1 : result.passed ? after.healthyAfter : after.unhealthyAfter;
    if (this.#checksAgainst < needed) return;
    this.#checks = outcome;
    this.#checksAgainst = 0;
    this.#settle(nowMs, result.why);
  }

  /** Sets the state to that of another thread. */
  believe({ state, why, sinceMs, closedUntilMs }: HealthState): void {
    this.#condition = { state, why, sinceMs };
    this.#closedUntilMs = closedUntilMs;
  }

  /** Health checks are no longer configured: their results are discarded. */
  unchecked(nowMs: number): void {
    this.#checks = "unknown";
    this.#checksAgainst = 0;
    this.#settle(nowMs, "health checks removed");
  }

  #settle(nowMs: number, why: string): void {
    const waitsUntilMs = Math.max(this.#pausedUntilMs, this.#ejectedUntilMs);
    this.#closedUntilMs = this.#checks === "failing" ? Number.POSITIVE_INFINITY : waitsUntilMs;
    const state = this.#state();
    if (state === this.#condition.state) return;
    this.#condition = { state, why, sinceMs: nowMs };
    this.#changed(this.#condition);
  }

  #state(): Condition["state"] {
    if (this.#checks === "failing") return "failing";
    if (this.#ejectedUntilMs > 0) return "ejected";
    return this.#refusals > 0 ? "refused" : "up";
  }
}
