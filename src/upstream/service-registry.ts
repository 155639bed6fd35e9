import type { Clock } from "./clock.ts";
import { ConcurrencyLimiter } from "./concurrency-limiter.ts";
import type { EndpointSet } from "./endpoint.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { LimitSpec } from "./service-spec.ts";

/**
 * What services keep from snapshot to snapshot beside their endpoints: budgets of retries, and who is in flight or waits
 * where there are limits. A reload changes their settings, and forgets nothing.
 */
export class ServiceRegistry {
  readonly #clock: Clock;
  #budgets: ReadonlyMap<string, RetryBudget> = new Map();
  #gates: ReadonlyMap<string, ConcurrencyLimiter> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts the next generation. Nothing changes until its `commit`; left uncommitted it leaves no trace. */
  next(): ServiceGeneration {
    const budgets = new Map<string, RetryBudget>();
    const gates = new Map<string, ConcurrencyLimiter>();
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
        const hasRoom = () => hasRoomNow(endpoints, this.#clock.nowMs());
        const limiter = this.#gates.get(key) ?? new ConcurrencyLimiter(this.#clock, limits, hasRoom);
        gates.set(key, limiter);
        changes.push(() => limiter.configure(limits, hasRoom));
        return limiter;
      },
      commit: () => {
        this.#budgets = budgets;
        this.#gates = gates;
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

/** Also where no endpoint is fit to be asked: whoever waits has to learn of it. */
function hasRoomNow({ current }: EndpointSet, nowMs: number): boolean {
  let fit = false;
  for (const endpoint of current) {
    if (!endpoint.health.available(nowMs)) continue;
    if (endpoint.available(nowMs)) return true;
    fit = true;
  }
  return !fit;
}
