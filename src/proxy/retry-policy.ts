import type { RetryBudget } from "../upstream/retry-budget.ts";
import type { ServiceGeneration } from "../upstream/service-registry.ts";
import type { RetrySpec, ServiceSpec } from "../upstream/service-spec.ts";
import type { AttemptFailure } from "./attempt-failure.ts";

/** What is tried again, and how often; endpoints that could not be reached are beside the point, for they saw nothing. */
export interface RetryPolicy extends Pick<RetrySpec, "attempts" | "onReset" | "otherVersion" | "maxBodyBytes"> {
  readonly statuses: ReadonlySet<number>;
  /** Undefined where nothing is configured: the one retry of a connection that broke costs nothing. */
  readonly budget: RetryBudget | undefined;
}

/** Where the service says nothing. */
const usual: RetryPolicy = Object.freeze({
  attempts: 1,
  onReset: true,
  otherVersion: false,
  maxBodyBytes: 0,
  statuses: new Set<number>(),
  budget: undefined,
});

export function retryPolicy({ name, retries }: ServiceSpec, services: ServiceGeneration): RetryPolicy {
  if (retries === undefined) return usual;
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

/** Whether the request's body can be sent from its start: there is none, none of it was sent, or all that was is kept. */
export type BodyState = "replayable" | "consumed";

/** May be sent again although it is unknown whether the first was carried out (RFC 9110 §9.2.2). */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export function isIdempotent(method: string): boolean {
  return idempotentMethods.has(method);
}

/**
 * Whether a failed attempt may be repeated. Was anything sent? If so, only what is harmless to do twice, and needs no body
 * that is already gone.
 */
export function isReplayable(failure: AttemptFailure, method: string, body: BodyState): boolean {
  if (body === "consumed") return false;
  if (failure === "connect-failed" || failure === "connect-timeout" || failure === "tls-failed") return true;
  if (failure === "upstream-refused") return true;
  return failure === "upstream-reset" && isIdempotent(method);
}
