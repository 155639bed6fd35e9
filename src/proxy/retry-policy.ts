import type { RetryBudget } from "../upstream/retry-budget.ts";
import type { ServiceGeneration } from "../upstream/service-registry.ts";
import type { RetrySpec, ServiceSpec } from "../upstream/service-spec.ts";
import type { AttemptFailure } from "./attempt-failure.ts";

/** What is retried, and how often. Does not limit further attempts after an endpoint could not be reached. */
export interface RetryPolicy extends Pick<RetrySpec, "attempts" | "onReset" | "otherVersion" | "maxBodyBytes"> {
  readonly statuses: ReadonlySet<number>;
  /** Undefined by default, where only one retry after a reset is allowed. */
  readonly budget: RetryBudget | undefined;
}

export function retryPolicy({ name, retries }: ServiceSpec, services: ServiceGeneration): RetryPolicy {
  if (retries === undefined) return defaultPolicy;
  const { attempts, onReset, otherVersion, maxBodyBytes, statuses, budgetShare } = retries;
  return Object.freeze({
    attempts,
    onReset,
    otherVersion,
    maxBodyBytes,
    statuses: new Set<number>(statuses),
    budget: services.budget(name, budgetShare),
  });
}

/** For a service without `retries`. */
const defaultPolicy: RetryPolicy = Object.freeze({
  attempts: 1,
  onReset: true,
  otherVersion: false,
  maxBodyBytes: 0,
  statuses: new Set<number>(),
  budget: undefined,
});

/** `replayable`: the body can be sent from its start: there is none, none was sent, or what was sent is buffered. */
export type BodyState = "replayable" | "consumed";

/** Safe to repeat if it is unknown whether the first request was executed (RFC 9110 §9.2.2). */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export function isIdempotent(method: string): boolean {
  return idempotentMethods.has(method);
}

/** Whether a failed attempt may be retried. If the endpoint may have seen the request, the method must be idempotent. */
export function isReplayable(failure: AttemptFailure, method: string, body: BodyState): boolean {
  if (body === "consumed") return false;
  if (failure === "connect-failed" || failure === "connect-timeout" || failure === "tls-failed") return true;
  if (failure === "upstream-refused") return true;
  return failure === "upstream-reset" && isIdempotent(method);
}
