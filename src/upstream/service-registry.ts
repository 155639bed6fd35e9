import type { Timers } from "./clock.ts";
import { ConcurrencyLimiter } from "./concurrency-limiter.ts";
import type { EndpointSet } from "./endpoint.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { LimitSpec } from "./service-spec.ts";

/**
 * State that services keep across snapshots besides their endpoints: retry budgets, and concurrency limiters with their
 * requests in flight and queues. A reload changes the settings and keeps the state.
 */
export class ServiceRegistry {
  readonly #timers: Timers;
  #budgets: ReadonlyMap<string, RetryBudget> = new Map();
  #limiters: ReadonlyMap<string, ConcurrencyLimiter> = new Map();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Starts the next generation. It has no effect until its `commit`. */
  next(): ServiceGeneration {
    const budgets = new Map<string, RetryBudget>();
    const limiters = new Map<string, ConcurrencyLimiter>();
    const changes: (() => void)[] = [];
    return {
      budget: (service, share) => {
        const budget = this.#budgets.get(service) ?? new RetryBudget(share);
        budgets.set(service, budget);
        changes.push(() => {
          budget.share = share;
        });
        return budget;
      },
      limiter: (service, version, limits, endpoints) => {
        const key = `${service} ${version}`;
        const hasRoom = () => hasRoomNow(endpoints, this.#timers.nowMs());
        const limiter = this.#limiters.get(key) ?? new ConcurrencyLimiter(this.#timers, limits, hasRoom);
        limiters.set(key, limiter);
        changes.push(() => limiter.configure(limits, hasRoom));
        return limiter;
      },
      commit: () => {
        this.#budgets = budgets;
        this.#limiters = limiters;
        for (const change of changes) change();
      },
    };
  }
}

export interface ServiceGeneration {
  budget(service: string, share: number): RetryBudget;
  limiter(service: string, version: string, limits: LimitSpec, endpoints: EndpointSet): ConcurrencyLimiter;
  commit(): void;
}

/** True as well if no endpoint is healthy, so that queued requests fail instead of waiting. */
function hasRoomNow({ current }: EndpointSet, nowMs: number): boolean {
  let anyHealthy = false;
  for (const endpoint of current) {
    if (!endpoint.health.available(nowMs)) continue;
    if (endpoint.available(nowMs)) return true;
    anyHealthy = true;
  }
  return !anyHealthy;
}
