import type { ErrorCode } from "../errors.ts";
import type { UpstreamStats } from "../observe/stats-registry.ts";
import { type Affinity, type PickContext, panicPick } from "../upstream/balancers.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import { type Endpoint, isBadStatus, recordFailure } from "../upstream/endpoint.ts";
import type { RetryableStatus } from "../upstream/service-spec.ts";
import { type AttemptFailure, causeOf, unreached } from "./attempt-failure.ts";
import { Permit, type PermitWaiter } from "./permit.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { type BodyState, isIdempotent, isReplayable, type RetryPolicy } from "./retry-policy.ts";
import type { Service, ServiceVersion } from "./service.ts";
import type { Trace } from "./trace.ts";

/** Refused endpoints of one version that a request tries before it gives the version up. */
const attemptsPerVersion = 5;

const maxRetryAfterSeconds = 300;

const noEndpoints: readonly Endpoint[] = Object.freeze([]);

/**
 * Where a request goes next: an endpoint; `queued`: nowhere until `onPermit` is called; or nowhere at all, and the error to
 * answer with.
 */
export type NextAttempt = Endpoint | "queued" | ErrorCode;

/** A further attempt that is allowed and paid for. */
interface Retry {
  readonly endpoint: Endpoint;
  readonly version: ServiceVersion;
  readonly permit: Permit | undefined;
}

/**
 * The attempts of one exchange at getting an answer: which endpoint to try next, whether to try again, when another version
 * must serve, and the accounts of each. The lane says what it can still send, for it knows what was.
 */
export class Attempts implements PickContext {
  /** The version that serves: the one asked for, until none of its endpoints can be reached. */
  served: ServiceVersion;
  fallback = false;
  /** Whether the version asked for failed the request, and another one answered it. */
  rescued = false;
  count = 0;
  endpoint: Endpoint | undefined;
  ttfbMs: number | undefined;
  /** Why the last attempt did not get through, in the words of the system or of TLS. */
  cause: string | undefined;
  /** Set where the request is traced. */
  trace: Trace | undefined;
  nowMs: number;
  /** Those that refused, or failed this request. */
  tried: readonly Endpoint[] = noEndpoints;
  readonly affinity: Affinity | undefined;
  readonly #context: ProxyContext;
  readonly #service: Service;
  readonly #policy: RetryPolicy;
  readonly #method: string;
  /** An override asked for exactly this version: better an error than another one's answer. */
  readonly #exact: boolean;
  #permit: Permit | undefined;
  #atThisVersion = 0;
  #retries = 0;
  /** Of the version that failed first, while it is open how the retries end. */
  #retriedAt: UpstreamStats | undefined;
  #startedMs = 0;
  #open = false;
  #failure: AttemptFailure | undefined;

  constructor(
    context: ProxyContext,
    service: Service,
    method: string,
    version: ServiceVersion,
    exact: boolean,
    nowMs: number,
    affinity: Affinity | undefined,
  ) {
    this.#context = context;
    this.#service = service;
    this.#policy = service.retries;
    this.#method = method;
    this.served = version;
    this.#exact = exact;
    this.nowMs = nowMs;
    this.affinity = affinity;
    this.#policy.budget?.earn();
  }

  get randomFraction(): RandomFraction {
    return this.#context.randomFraction;
  }

  /** As many bytes of its body as the lane should keep for another attempt; 0: none. */
  get keptBodyBytes(): number {
    return isIdempotent(this.#method) ? this.#policy.maxBodyBytes : 0;
  }

  /** Where the request goes first, or once the permit that it waited for was granted or refused. */
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
    this.#retriedAt = undefined;
    this.#releasePermit();
    this.#moveTo(this.#service.defaultVersion);
    return this.next(waiter);
  }

  /** Where the request goes after a failed attempt. */
  again(body: BodyState, waiter: PermitWaiter): NextAttempt {
    const failure = this.#failure;
    if (failure === undefined || !isReplayable(failure, this.#method, body)) return this.#giveUp();
    if (unreached.has(failure)) return this.next(waiter);
    if (failure === "upstream-reset" && !this.#policy.onReset) return this.#giveUp();
    // A first reset usually means that the endpoint closed an idle connection just as it was used: that costs no budget.
    const retry = this.#planRetry(this.#retries === 0 ? "free" : "from the budget");
    return retry === undefined ? this.#giveUp() : this.#begin(retry);
  }

  /** The endpoint to ask again in place of passing on a response of this status; undefined: pass it on. */
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
    return this.#begin(retry);
  }

  started(endpoint: Endpoint): void {
    this.count++;
    this.#atThisVersion++;
    // The first attempt at another version is no retry at that one.
    if (this.#atThisVersion > 1) this.#retriedAt ??= this.served.stats;
    this.endpoint = endpoint;
    this.#startedMs = this.#context.monotonicMs();
    this.#open = true;
    endpoint.inFlight++;
    endpoint.health.begun(this.nowMs);
    this.served.stats.inFlight.value++;
    this.trace?.attempt(endpoint, this.served.name, this.#startedMs);
  }

  /** The head of the final response came, and is passed on. Of a gRPC call only its end may tell what it is worth. */
  answered(status: number, verdict: "judged" | "to be judged" = "judged"): void {
    const { endpoint } = this;
    this.ttfbMs = this.#context.monotonicMs() - this.#startedMs;
    const { ttfb } = this.served.stats;
    ttfb.observe(this.ttfbMs / 1000);
    if (this.trace?.isSampled) ttfb.exemplify(this.ttfbMs / 1000, this.trace.traceId, this.#context.nowMs());
    if (this.#retriedAt !== undefined) {
      this.#settleRetries(this.#policy.statuses.has(status) ? "failure" : "success");
    }
    this.trace?.attemptIs("answered");
    if (endpoint === undefined) return;
    const nowMs = this.#context.nowMs();
    endpoint.latency.observe(this.ttfbMs, nowMs);
    endpoint.health.reached(nowMs);
    if (verdict === "judged") this.judged(status);
  }

  /** The answer is a good or a bad one, as this status says. */
  judged(status: number): void {
    const { endpoint } = this;
    // Most services eject nobody, and most endpoints are well: then there is nothing to note.
    if (endpoint === undefined || (this.#service.spec.outlier === undefined && endpoint.up)) return;
    if (!this.#recordFailure(status)) endpoint.health.succeeded(this.#context.nowMs());
  }

  /** `error`: what is behind it, where that is known. */
  failed(failure: AttemptFailure, error?: Error): void {
    const { endpoint } = this;
    this.#failure = failure;
    this.cause = unreached.has(failure) ? causeOf(error) : undefined;
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

  /** No connection could be made for lack of descriptors, ports or memory, which is no endpoint's fault. Returns the error to answer with. */
  resourcesExhausted(): ErrorCode {
    this.trace?.attemptIs("connect-failed");
    this.#endAttempt();
    this.#settleRetries("failure");
    return "overloaded";
  }

  /** The exchange is over, one way or another. Safe to call again. */
  finished(): void {
    this.#endAttempt();
    this.#releasePermit();
  }

  /** No further attempt: the error to answer with. */
  #giveUp(): ErrorCode {
    this.#settleRetries("failure");
    if (this.#permit?.state === "refused") return "overloaded";
    const failure = this.#failure;
    if (failure === undefined || (this.#exact && unreached.has(failure))) return "no-healthy-endpoint";
    return failure;
  }

  /** When it is worth asking again: where all are ejected, when the first of them returns. */
  get retryAfterSeconds(): number {
    const nowMs = this.#context.nowMs();
    const returns = this.served.endpoints.current.map(({ health }) => health.closedUntilMs - nowMs);
    const firstMs = this.#permit === undefined ? Math.min(...returns) : 0;
    return firstMs > 0 && firstMs < Number.POSITIVE_INFINITY
      ? Math.min(Math.ceil(firstMs / 1_000), maxRetryAfterSeconds)
      : 1;
  }

  #mayFallBack(): boolean {
    return !this.#exact && this.served !== this.#service.defaultVersion;
  }

  /** Whether another version will serve, so that no permit is needed. */
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

  /** Whether a further attempt is allowed, and where it goes: an endpoint that has not failed this request yet, if any. */
  #planRetry(cost: "free" | "from the budget"): Retry | undefined {
    const { attempts, otherVersion, budget } = this.#policy;
    const { endpoint: failed } = this;
    if (this.#retries >= attempts || failed === undefined) return undefined;
    const leaves = otherVersion && this.#mayFallBack() && this.#retries === attempts - 1;
    const version = leaves ? this.#service.defaultVersion : this.served;
    if (!this.tried.includes(failed)) this.tried = [...this.tried, failed];
    const same = !leaves && failed.available(this.nowMs) ? failed : undefined;
    const endpoint = version.balancer.pick(version.endpoints.current, this) ?? same;
    if (endpoint === undefined) return undefined;
    const permit = leaves ? version.limiter && Permit.tryAcquire(version, version.limiter) : this.#permit;
    if (permit === undefined && version.limiter !== undefined) return undefined;
    if (cost === "from the budget" && budget?.spend(this.nowMs) === false) {
      if (this.#retriedAt === undefined) this.served.stats.retry("denied");
      if (leaves) permit?.release();
      return undefined;
    }
    return { endpoint, version, permit };
  }

  #begin({ endpoint, version, permit }: Retry): Endpoint {
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

  /** Counts once for each request, at the version that failed it first: a rescue must not hide a bad version. */
  #settleRetries(outcome: "success" | "failure"): void {
    this.#retriedAt?.retry(outcome === "success" && this.rescued ? "rescued" : outcome);
    this.#retriedAt = undefined;
  }

  /** Counts a bad answer, or none, against the endpoint. False where it was a good one. */
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
    if (this.ttfbMs === undefined) this.#gaveUp();
    this.served.stats.inFlight.value--;
  }

  /** The client left, or the attempt failed, before there was an answer: it would have taken longer. */
  #gaveUp(): void {
    this.endpoint?.latency.gaveUp(this.#context.monotonicMs() - this.#startedMs, this.#context.nowMs());
  }
}
