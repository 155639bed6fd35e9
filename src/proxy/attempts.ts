import type { ErrorCode } from "../errors.ts";
import type { Affinity, RandomFraction, Wanted } from "../upstream/balancer.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Gateway } from "./gateway.ts";
import type { Service, ServiceVersion } from "./snapshot.ts";
import type { Trace } from "./trace.ts";

/** How an attempt ended without an answer. */
export type AttemptFailure = Extract<
  ErrorCode,
  | "connect-failed"
  | "connect-timeout"
  | "upstream-reset"
  | "upstream-timeout"
  | "upstream-malformed"
  | "upstream-refused"
>;

const attemptFailures: ReadonlySet<ErrorCode> = new Set<AttemptFailure>([
  "connect-failed",
  "connect-timeout",
  "upstream-reset",
  "upstream-timeout",
  "upstream-malformed",
  "upstream-refused",
]);

export function isAttemptFailure(code: ErrorCode): code is AttemptFailure {
  return attemptFailures.has(code);
}

/** Refused endpoints of one version that a request tries before it gives the version up. */
const attemptsPerVersion = 5;

/** Failures before anything was sent: no endpoint has seen the request. */
const unreached: ReadonlySet<AttemptFailure> = new Set(["connect-failed", "connect-timeout"]);

const noEndpoints: readonly Endpoint[] = Object.freeze([]);

/**
 * The attempts of one exchange at reaching an endpoint: which to try next, when another version must serve, and the
 * accounts of each. Whether a failed attempt may be repeated is the lane's to say, for it knows what was sent.
 */
export class Attempts implements Wanted {
  /** The version that serves: the one asked for, until none of its endpoints can be reached. */
  served: ServiceVersion;
  fallback = false;
  count = 0;
  endpoint: Endpoint | undefined;
  ttfbMs: number | undefined;
  /** Set where the request is traced. */
  trace: Trace | undefined;
  readonly #gateway: Gateway;
  readonly #service: Service;
  readonly nowMs: number;
  /** Those that refused. */
  tried: readonly Endpoint[] = noEndpoints;
  readonly affinity: Affinity | undefined;
  /** An override asked for exactly this version: better an error than another one's answer. */
  readonly #exact: boolean;
  #atThisVersion = 0;
  #startedMs = 0;
  #open = false;
  #failure: AttemptFailure | undefined;

  constructor(
    gateway: Gateway,
    service: Service,
    version: ServiceVersion,
    exact: boolean,
    nowMs: number,
    affinity: Affinity | undefined,
  ) {
    this.#gateway = gateway;
    this.#service = service;
    this.served = version;
    this.#exact = exact;
    this.nowMs = nowMs;
    this.affinity = affinity;
  }

  get randomFraction(): RandomFraction {
    return this.#gateway.randomFraction;
  }

  /** The endpoint to try now, or undefined where nobody is left to ask; `exhausted` then says how to answer. */
  next(): Endpoint | undefined {
    const { defaultVersion } = this.#service;
    // A connection that broke under a request is worth one retry; only refused ones are worth asking everybody.
    if (this.#failure !== undefined && !unreached.has(this.#failure)) {
      return this.#atThisVersion === 1 ? this.#pick() : undefined;
    }
    const endpoint = this.#atThisVersion < attemptsPerVersion ? this.#pick() : undefined;
    if (endpoint !== undefined || this.#exact || this.served === defaultVersion) return endpoint;
    this.served.cells.fallbacks.value++;
    this.served = defaultVersion;
    this.fallback = true;
    this.#atThisVersion = 0;
    return this.#pick();
  }

  #pick(): Endpoint | undefined {
    const endpoints = this.served.endpoints.current;
    const usable = this.served.balancer.pick(endpoints, this);
    const lastHope = this.served === this.#service.defaultVersion && !this.#exact && this.#atThisVersion === 0;
    // Where every endpoint of the default version is paused, no other version could answer either: trying one costs
    // nothing, and ends the outage with the first request after it.
    return usable ?? (lastHope ? endpoints[0] : undefined);
  }

  started(endpoint: Endpoint): void {
    this.count++;
    this.#atThisVersion++;
    this.endpoint = endpoint;
    this.#startedMs = this.#gateway.monotonicMs();
    this.#open = true;
    endpoint.inFlight++;
    endpoint.health.begun(this.nowMs);
    this.served.cells.inFlight.value++;
    this.trace?.attempt(endpoint, this.served.name, this.#startedMs);
  }

  /** The head of the final response came. */
  answered(): void {
    this.ttfbMs = this.#gateway.monotonicMs() - this.#startedMs;
    this.endpoint?.health.reached(this.nowMs);
    this.endpoint?.latency.observe(this.ttfbMs, this.#gateway.nowMs());
    this.served.cells.ttfb.observe(this.ttfbMs / 1000);
    if (this.#atThisVersion > 1) this.served.cells.retry("success");
    this.trace?.attemptIs("answered");
  }

  failed(failure: AttemptFailure): void {
    this.#failure = failure;
    this.served.cells.error(failure);
    if (this.#atThisVersion > 1) this.served.cells.retry("failure");
    this.endpoint?.latency.failed(this.#gateway.nowMs());
    if (this.endpoint !== undefined && unreached.has(failure)) {
      this.endpoint.health.refused(this.#gateway.nowMs(), failure);
      this.tried = [...this.tried, this.endpoint];
    }
    this.trace?.attemptIs(failure);
    this.finished();
  }

  /** The attempt is over, one way or another. Safe to call again. */
  finished(): void {
    if (!this.#open) return;
    this.#open = false;
    this.trace?.attemptEnded(this.#gateway.monotonicMs());
    if (this.endpoint !== undefined) this.endpoint.inFlight--;
    if (this.ttfbMs === undefined) this.#gaveUp();
    this.served.cells.inFlight.value--;
  }

  /** The client left, or the attempt failed, before there was an answer: it would have taken longer. */
  #gaveUp(): void {
    this.endpoint?.latency.gaveUp(this.#gateway.monotonicMs() - this.#startedMs, this.#gateway.nowMs());
  }

  /** What to answer when `next` has nobody left. */
  exhausted(): ErrorCode {
    const failure = this.#failure;
    if (failure === undefined || (this.#exact && unreached.has(failure))) return "no-healthy-endpoint";
    return failure;
  }
}
