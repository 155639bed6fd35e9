import { type ErrorCause, firstCause } from "../errors.ts";
import type { UpstreamStats } from "../observe/stats-registry.ts";
import { type Affinity, type PickContext, panicPick } from "../upstream/balancers.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import { type Endpoint, isBadStatus, recordFailure } from "../upstream/endpoint.ts";
import type { Condition } from "../upstream/endpoint-health.ts";
import type { RetryableStatus } from "../upstream/service-spec.ts";
import { type AttemptFailure, unreached } from "./attempt-failure.ts";
import type { Refusal } from "./local-reply.ts";
import { Permit, type PermitWaiter } from "./permit.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { type BodyState, isIdempotent, isReplayable, type RetryPolicy } from "./retry-policy.ts";
import type { Service, ServiceVersion } from "./service.ts";
import type { Trace } from "./trace.ts";

/** Where a request goes next: an endpoint; `queued` until `onPermit` is called; or the local reply. */
export type NextAttempt = Endpoint | "queued" | Refusal;

/** Attempts at one version whose endpoints cannot be reached, before the default version serves. */
const attemptsPerVersion = 5;

const maxRetryAfterSeconds = 300;

const noEndpoints: readonly Endpoint[] = Object.freeze([]);

/**
 * The attempts of one exchange to get a response: which endpoint to try next, whether to retry, when another version
 * must serve, and the stats of each attempt. The lane passes in whether the request body can still be replayed.
 */
export class Attempts implements PickContext {
  /** The version that serves: the assigned one, until none of its endpoints can be reached. */
  served!: ServiceVersion;
  fallback = false;
  /** Whether the assigned version failed the request and the last retry went to the default version. */
  rescued = false;
  /**
   * Whether the assigned version failed this request or could not be reached, and a further attempt or another version
   * followed. Not for the free retry at the same version.
   */
  failedAttempt = false;
  count = 0;
  endpoint: Endpoint | undefined;
  /** Not a number before the head of a response. */
  ttfbMs: number = Number.NaN;
  /** Why the last attempt failed, if known. */
  cause: string | undefined;
  trace: Trace | undefined;
  nowMs: number = Number.NaN;
  /** Endpoints that refused a connection or failed this request. */
  tried: readonly Endpoint[] = noEndpoints;
  affinity: Affinity | undefined;
  readonly #context: ProxyContext;
  #service!: Service;
  #policy!: RetryPolicy;
  #method = "";
  /** An override chose this version: an error is better than a response of another version. */
  #exact = false;
  #permit: Permit | undefined;
  #atThisVersion = 0;
  #retries = 0;
  /** Stats of the version that failed first, until the outcome of the retries is counted. */
  #retriedAt: UpstreamStats | undefined;
  #startedMs: number = Number.NaN;
  #open = false;
  /** Whether the next attempt is the free retry. */
  #isFree = false;
  #failure: AttemptFailure | undefined;

  /** `restart` must follow. */
  constructor(context: ProxyContext) {
    this.#context = context;
  }

  /** Makes it the attempts of a request. The one before must have ended. */
  restart(
    service: Service,
    method: string,
    version: ServiceVersion,
    exact: boolean,
    nowMs: number,
    affinity: Affinity | undefined,
  ): void {
    this.#service = service;
    this.#policy = service.retries;
    this.#method = method;
    this.served = version;
    this.#exact = exact;
    this.nowMs = nowMs;
    this.affinity = affinity;
    this.fallback = false;
    this.rescued = false;
    this.failedAttempt = false;
    this.count = 0;
    this.endpoint = undefined;
    this.ttfbMs = Number.NaN;
    this.cause = undefined;
    this.trace = undefined;
    this.tried = noEndpoints;
    this.#permit = undefined;
    this.#atThisVersion = 0;
    this.#retries = 0;
    this.#retriedAt = undefined;
    this.#open = false;
    this.#isFree = false;
    this.#failure = undefined;
    this.#policy.budget?.earn();
  }

  get randomFraction(): RandomFraction {
    return this.#context.randomFraction;
  }

  /** Maximum bytes of the request body that the lane keeps for a retry; 0: none. */
  get keptBodyBytes(): number {
    return isIdempotent(this.#method) ? this.#policy.maxBodyBytes : 0;
  }

  /** The first attempt, or the next one after the queued permit was granted or refused. */
  next(waiter: PermitWaiter): NextAttempt {
    const { limiter } = this.served;
    if (limiter !== undefined && !this.#willFallBack()) {
      this.#permit ??= Permit.acquire(this.served, limiter, waiter);
      this.nowMs = this.#context.nowMs();
      if (this.#permit.state === "queued") return "queued";
      if (this.#permit.state !== "acquired") return this.#giveUp();
    }
    const endpoint = this.#atThisVersion < attemptsPerVersion ? this.#pick() : undefined;
    if (endpoint !== undefined) return endpoint;
    if (!this.#mayFallBack()) return this.#giveUp();
    this.served.stats.fallbacks.value++;
    this.fallback = true;
    this.failedAttempt = true;
    this.#retriedAt = undefined;
    this.#releasePermit();
    this.#moveTo(this.#service.defaultVersion);
    return this.next(waiter);
  }

  /** The next attempt after `failed`. */
  again(body: BodyState, waiter: PermitWaiter): NextAttempt {
    const failure = this.#failure;
    if (failure === undefined || !isReplayable(failure, this.#method, body)) return this.#giveUp();
    if (unreached.has(failure)) return this.next(waiter);
    if (failure === "upstream-reset" && !this.#policy.onReset) return this.#giveUp();
    // A first reset usually means that the endpoint closed an idle connection as it was reused, so it costs no budget.
    const cost = this.#retries === 0 ? "free" : "from the budget";
    const retry = this.#planRetry(cost);
    if (retry === undefined) return this.#giveUp();
    this.#isFree = cost === "free" && retry.version === this.served;
    return this.#startRetry(retry);
  }

  /** The endpoint to retry at instead of forwarding a response with this status; undefined: forward it. */
  retryInsteadOf(status: number, body: BodyState): Endpoint | undefined {
    if (status < 500 || body === "consumed" || !this.#policy.statuses.has(status)) return undefined;
    if (!isIdempotent(this.#method)) return undefined;
    this.nowMs = this.#context.nowMs();
    const retry = this.#planRetry("from the budget");
    if (retry === undefined) return undefined;
    const kind = `status-${status as RetryableStatus}` as const;
    this.served.stats.error(kind);
    this.endpoint?.health.reached(this.nowMs);
    this.#recordFailure(status);
    this.endpoint?.latency.failed(this.nowMs);
    this.trace?.attemptIs("answered");
    this.#endAttempt();
    return this.#startRetry(retry);
  }

  started(endpoint: Endpoint): void {
    this.count++;
    this.#atThisVersion++;
    if (this.count > 1 && !this.#isFree) this.failedAttempt = true;
    this.#isFree = false;
    // The first attempt at another version is not a retry of that version.
    if (this.#atThisVersion > 1) this.#retriedAt ??= this.served.stats;
    this.endpoint = endpoint;
    this.#startedMs = this.#context.monotonicMs();
    this.#open = true;
    endpoint.inFlight++;
    endpoint.health.begun(this.nowMs);
    this.served.stats.inFlight.value++;
    this.trace?.attempt(endpoint, this.served.name, this.#startedMs);
  }

  /** The final response head is forwarded. "to be judged": the outcome of a gRPC call is known only from its trailers. */
  answered(status: number, verdict: "judged" | "to be judged" = "judged"): void {
    const { endpoint } = this;
    this.ttfbMs = this.#context.monotonicMs() - this.#startedMs;
    const { ttfb } = this.served.stats;
    ttfb.observe(this.ttfbMs / 1000);
    if (this.trace?.isSampled) ttfb.exemplify(this.ttfbMs / 1000, this.trace.traceId, this.#context.nowMs());
    if (this.#retriedAt !== undefined) {
      this.#countRetries(this.#policy.statuses.has(status) ? "failure" : "success");
    }
    this.trace?.attemptIs("answered");
    if (endpoint === undefined) return;
    const nowMs = this.#context.nowMs();
    endpoint.latency.observe(this.ttfbMs, nowMs);
    endpoint.health.reached(nowMs);
    if (verdict === "judged") this.judged(status);
  }

  /** Records the outcome of the response for outlier detection. `status` may come from the trailers of a gRPC call. */
  judged(status: number): void {
    const { endpoint } = this;
    // Without outlier detection, a healthy endpoint has no state to update.
    if (endpoint === undefined || (this.#service.spec.outlier === undefined && endpoint.up)) return;
    if (!this.#recordFailure(status)) endpoint.health.succeeded(this.#context.nowMs());
  }

  /** How the last attempt failed; undefined if none did. */
  get failure(): AttemptFailure | undefined {
    return this.#failure;
  }

  /** The current attempt failed. `cause`: one of the failure's in the table of errors, or the system's code. */
  failed(failure: AttemptFailure, cause?: string): void {
    const { endpoint } = this;
    this.#failure = failure;
    this.cause = cause;
    this.nowMs = this.#context.nowMs();
    this.served.stats.error(failure);
    endpoint?.latency.failed(this.nowMs);
    if (endpoint !== undefined && unreached.has(failure)) {
      endpoint.health.refused(this.nowMs, this.cause === undefined ? failure : `${failure}: ${this.cause}`);
      this.tried = [...this.tried, endpoint];
    } else {
      endpoint?.health.reached(this.nowMs);
      this.#recordFailure(failure);
    }
    this.trace?.attemptIs(failure);
    this.#endAttempt();
  }

  /** No connection could be made: this process is out of descriptors, ports or memory. Counts against no endpoint. */
  resourcesExhausted(): Refusal {
    this.trace?.attemptIs("connect-failed");
    this.#endAttempt();
    this.#countRetries("failure");
    return { error: "overloaded", cause: "out-of-resources" };
  }

  /** The exchange has ended. Idempotent. */
  finished(): void {
    this.#endAttempt();
    this.#releasePermit();
  }

  /** When all endpoints are ejected, the time until the first of them returns; else 1. */
  get retryAfterSeconds(): number {
    const nowMs = this.#context.nowMs();
    const remainingMs = this.served.endpoints.current.map(({ health }) => health.closedUntilMs - nowMs);
    const firstMs = this.#permit === undefined ? Math.min(...remainingMs) : 0;
    return firstMs > 0 && firstMs < Number.POSITIVE_INFINITY
      ? Math.min(Math.ceil(firstMs / 1_000), maxRetryAfterSeconds)
      : 1;
  }

  /** No further attempt: the local reply. */
  #giveUp(): Refusal {
    this.#countRetries("failure");
    if (this.#permit?.refusedFor !== undefined) return { error: "overloaded", cause: this.#permit.refusedFor };
    const failure = this.#failure;
    if (failure === undefined) return { error: "no-healthy-endpoint", cause: this.#whyUnavailable() };
    if (this.#exact && unreached.has(failure)) return { error: "no-healthy-endpoint", cause: "unreachable" };
    return { error: failure, cause: this.cause ?? firstCause(failure) };
  }

  /** Why none of the version's endpoints can be tried. */
  #whyUnavailable(): ErrorCause<"no-healthy-endpoint"> {
    const endpoints = this.served.endpoints.current;
    const causes = new Set(endpoints.map(({ health }) => unavailableCauses[health.condition.state]));
    const [first = "no-address"] = causes;
    return causes.size > 1 ? "mixed" : first;
  }

  #mayFallBack(): boolean {
    return !this.#exact && this.served !== this.#service.defaultVersion;
  }

  /** Whether the default version will serve, so that no permit of this version is needed. */
  #willFallBack(): boolean {
    const { nowMs } = this;
    return this.#mayFallBack() && !this.served.endpoints.current.some(({ health }) => health.available(nowMs));
  }

  #pick(): Endpoint | undefined {
    const endpoints = this.served.endpoints.current;
    const usable = this.served.balancer.pick(endpoints, this);
    if (usable !== undefined || this.#exact || this.served !== this.#service.defaultVersion) return usable;
    return panicPick(endpoints, this, this.#atThisVersion === 0 ? "first" : "further");
  }

  /** Plans a retry if one is allowed. Prefers an endpoint that has not failed this request. */
  #planRetry(cost: "free" | "from the budget"): Retry | undefined {
    const { attempts, otherVersion, budget } = this.#policy;
    const { endpoint: failed } = this;
    if (this.#retries >= attempts || failed === undefined) return undefined;
    const toDefault = otherVersion && this.#mayFallBack() && this.#retries === attempts - 1;
    const version = toDefault ? this.#service.defaultVersion : this.served;
    if (!this.tried.includes(failed)) this.tried = [...this.tried, failed];
    const same = !toDefault && failed.available(this.nowMs) ? failed : undefined;
    const endpoint = version.balancer.pick(version.endpoints.current, this) ?? same;
    if (endpoint === undefined) return undefined;
    const permit = toDefault ? version.limiter && Permit.tryAcquire(version, version.limiter) : this.#permit;
    if (permit === undefined && version.limiter !== undefined) return undefined;
    if (cost === "from the budget" && budget?.spend(this.nowMs) === false) {
      if (this.#retriedAt === undefined) this.served.stats.retry("denied");
      if (toDefault) permit?.release();
      return undefined;
    }
    return { endpoint, version, permit };
  }

  #startRetry({ endpoint, version, permit }: Retry): Endpoint {
    this.#retries++;
    this.#retriedAt ??= this.served.stats;
    if (version !== this.served) {
      this.rescued = true;
      this.#releasePermit();
      this.#moveTo(version);
    }
    this.#permit = permit;
    return endpoint;
  }

  #moveTo(version: ServiceVersion): void {
    this.served = version;
    this.#atThisVersion = 0;
  }

  #releasePermit(): void {
    this.#permit?.release();
    this.#permit = undefined;
  }

  /** Counts once per request, for the version that failed first: a rescue must not hide a bad version. */
  #countRetries(outcome: "success" | "failure"): void {
    this.#retriedAt?.retry(outcome === "success" && this.rescued ? "rescued" : outcome);
    this.#retriedAt = undefined;
  }

  /** Counts a bad response or a failure against the endpoint. Returns false if the response was good. */
  #recordFailure(result: number | AttemptFailure): boolean {
    const { outlier } = this.#service.spec;
    if (outlier === undefined || this.endpoint === undefined) return false;
    if (typeof result === "number" && !isBadStatus(result, outlier)) return false;
    const replaceable = this.served !== this.#service.defaultVersion;
    const version = { endpoints: this.served.endpoints.current, replaceable };
    const why = typeof result === "number" ? `status-${result}` : result;
    recordFailure(this.endpoint, version, outlier, this.#context.nowMs(), why);
    return true;
  }

  #endAttempt(): void {
    if (!this.#open) return;
    this.#open = false;
    this.trace?.attemptEnded(this.#context.monotonicMs());
    if (this.endpoint !== undefined) this.endpoint.inFlight--;
    if (this.ttfbMs === undefined) this.#observeUnanswered();
    this.served.stats.inFlight.value--;
  }

  /** The attempt ended before a response: its duration is a lower bound of the latency. */
  #observeUnanswered(): void {
    this.endpoint?.latency.gaveUp(this.#context.monotonicMs() - this.#startedMs, this.#context.nowMs());
  }
}

/** By the state of an endpoint. One that is up has all of its connections in use. */
const unavailableCauses = {
  up: "busy",
  ejected: "ejected",
  failing: "failing-checks",
  refused: "unreachable",
} as const satisfies Record<Condition["state"], ErrorCause<"no-healthy-endpoint">>;

/** A retry that is allowed, and paid for from the budget if it has a cost. */
interface Retry {
  readonly endpoint: Endpoint;
  readonly version: ServiceVersion;
  readonly permit: Permit | undefined;
}
