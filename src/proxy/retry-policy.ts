import type { RetryBudget } from "../upstream/retry-budget.ts";
import type { ServiceGeneration } from "../upstream/service-registry.ts";
import type { RetrySpec, ServiceSpec } from "../upstream/service-spec.ts";

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
