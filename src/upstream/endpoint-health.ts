import type { HealthThresholds, OutlierSpec } from "./service-spec.ts";

/** First pause after a refused connection, doubled by each further refusal up to the longest. */
const shortestPauseMs = 1_000;
const maxPauseMs = 30_000;

/** Ejections grow up to this, or to `ejectFor` where that is longer. */
const maxEjectionMs = 300_000;

/** A trial that is still under way after this long no longer keeps others from being made. */
const trialMs = 5_000;

/** What keeps requests from an endpoint: its checks fail, its answers were too bad, or no connection can be made. */
export type Outage = "failing" | "ejected" | "refused";

/** What is believed of an endpoint. Plain data, which may be sent to another thread. */
export interface Condition {
  readonly state: "up" | Outage;
  /** In a few words; empty where nothing ever happened. */
  readonly why: string;
  /** Undefined where it has been so from the start. */
  readonly sinceMs: number | undefined;
}

/** A condition, and when the next request may try it: 0 while it is up, infinite while only a check can tell. */
export interface HealthState extends Condition {
  readonly closedUntilMs: number;
}

/** Of an endpoint of which nothing was ever found out. */
export const unknown: HealthState = Object.freeze({ state: "up", why: "", sinceMs: undefined, closedUntilMs: 0 });

/**
 * Whether one endpoint should be sent requests, by what became of those before (refusals, bad answers) and by its checks.
 * Knows no timer: an outage that ends by itself ends with the first request that asks, and that one request tries it.
 */
export class EndpointHealth {
  /** 0 while it is up, infinite while checks fail; the one number that requests look at. */
  #closedUntilMs = 0;
  #refusals = 0;
  #pausedUntilMs = 0;
  #failuresInARow = 0;
  #ejections = 0;
  #ejectedUntilMs = 0;
  #returnedAtMs = 0;
  #checks: "unknown" | "passing" | "failing" = "unknown";
  #checksAgainst = 0;
  #isTried = false;
  #condition: Condition = unknown;
  readonly #changed: (condition: Condition) => void;

  /** `changed` hears of every change of state. */
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

  /** Whether a request should be tried here: it is up, or its pause is over and this request may find out. */
  available(nowMs: number): boolean {
    return nowMs >= this.#closedUntilMs;
  }

  /** When the next request may try it; infinite while only a check can tell. */
  get closedUntilMs(): number {
    return this.#closedUntilMs;
  }

  /** A request is sent to it. Where it was out, this one tries it and others wait for what comes of it. */
  begun(nowMs: number): void {
    if (this.#closedUntilMs === 0 || nowMs < this.#closedUntilMs) return;
    this.#isTried = true;
    if (this.#pausedUntilMs > 0) this.#pausedUntilMs = nowMs + trialMs;
    if (this.#ejectedUntilMs > 0) this.#ejectedUntilMs = nowMs + trialMs;
    this.#settle(nowMs, "");
  }

  /** No connection could be made. Pauses the endpoint; the pause doubles while it stays refused. */
  refused(nowMs: number, why = "connect-failed"): void {
    // Many requests in flight learn of one outage together; only the first of them lengthens the pause.
    if (nowMs < this.#pausedUntilMs && !this.#isTried) return;
    this.#pausedUntilMs = nowMs + Math.min(shortestPauseMs * 2 ** this.#refusals, maxPauseMs);
    this.#refusals++;
    this.#isTried = false;
    this.#settle(nowMs, why);
  }

  /** It answered, whatever the status: the connection works. */
  reached(nowMs: number): void {
    if (this.#refusals === 0) return;
    this.#refusals = 0;
    this.#pausedUntilMs = 0;
    this.#settle(nowMs, "reached");
  }

  /** It answered well. Ends an ejection where this was the trial: others had been sent before it. */
  succeeded(nowMs: number): void {
    this.#failuresInARow = 0;
    if (this.#ejectedUntilMs === 0 || !this.#isTried) return;
    this.#isTried = false;
    this.#ejectedUntilMs = 0;
    this.#returnedAtMs = nowMs;
    this.#settle(nowMs, "answered well again");
  }

  /** It failed a request. True where it should be ejected for it. */
  failed(nowMs: number, { consecutiveFailures }: OutlierSpec): boolean {
    if (this.#ejectedUntilMs > 0) return this.#isTried || nowMs >= this.#ejectedUntilMs;
    this.#failuresInARow++;
    return this.#failuresInARow >= consecutiveFailures;
  }

  get isEjected(): boolean {
    return this.#ejectedUntilMs > 0;
  }

  get isRefused(): boolean {
    return this.#refusals > 0;
  }

  /** Takes it out, longer each time; what came before is forgotten at the same pace while it does well. */
  eject(nowMs: number, { ejectForMs }: OutlierSpec, why: string): void {
    const forgotten = this.isEjected ? 0 : Math.floor((nowMs - this.#returnedAtMs) / ejectForMs);
    this.#ejections = Math.max(0, this.#ejections - forgotten) + 1;
    const maxMs = Math.max(maxEjectionMs, ejectForMs);
    this.#ejectedUntilMs = nowMs + Math.min(ejectForMs * this.#ejections, maxMs);
    this.#failuresInARow = 0;
    this.#isTried = false;
    this.#settle(nowMs, why);
  }

  /** A check ended. The first counts at once; from then on it takes several in a row to change the verdict. */
  checked(nowMs: number, result: { readonly passed: boolean; readonly why: string }, after: HealthThresholds): void {
    const verdict = result.passed ? "passing" : "failing";
    if (result.passed) this.reached(nowMs);
    this.#checksAgainst = verdict === this.#checks ? 0 : this.#checksAgainst + 1;
    const needed = this.#checks === "unknown" ? 1 : result.passed ? after.healthyAfter : after.unhealthyAfter;
    if (this.#checksAgainst < needed) return;
    this.#checks = verdict;
    this.#checksAgainst = 0;
    this.#settle(nowMs, result.why);
  }

  /** Takes over what another thread believes. */
  believe({ state, why, sinceMs, closedUntilMs }: HealthState): void {
    this.#condition = { state, why, sinceMs };
    this.#closedUntilMs = closedUntilMs;
  }

  /** It is not checked any more: what checks found counts no longer. */
  unchecked(nowMs: number): void {
    this.#checks = "unknown";
    this.#checksAgainst = 0;
    this.#settle(nowMs, "not checked any more");
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
