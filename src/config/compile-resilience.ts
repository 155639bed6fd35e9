import { type LimitSpec, type OutlierSpec, type RetrySpec, retryableStatuses } from "../upstream/service-spec.ts";
import type { LimitsConfig, OutlierConfig, RetriesConfig } from "./resilience-schema.ts";

export function compileOutlier({ consecutiveFailures, failures, ejectFor, maxEjected }: OutlierConfig): OutlierSpec {
  return { consecutiveFailures, failures, ejectForMs: ejectFor, maxEjectedShare: maxEjected };
}

export function compileRetries({ attempts, on, budget, otherVersion, maxBody }: RetriesConfig): RetrySpec {
  return {
    attempts,
    onReset: on.includes("reset-before-response"),
    statuses: retryableStatuses.filter((status) => on.includes(`${status}`)),
    budgetShare: budget,
    otherVersion,
    maxBodyBytes: maxBody,
  };
}

export function compileLimits({ maxConnections, maxInFlight, maxPending, pendingTimeout }: LimitsConfig): LimitSpec {
  return {
    maxConnections: maxConnections ?? Number.POSITIVE_INFINITY,
    maxInFlight: maxInFlight ?? Number.POSITIVE_INFINITY,
    maxPending,
    pendingTimeoutMs: pendingTimeout,
  };
}
