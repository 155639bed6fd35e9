import { Counter, LabelCounters } from "./counters.ts";
import { StatsGroup } from "./stats-group.ts";

/** What a route's rate limit did. */
export class RateLimitStats {
  /** Requests over the limit. */
  readonly rejected: Counter;
  /** Of a shared limit, requests that counted in one process only, as Redis was away or late. */
  readonly fallbacks: Counter;
  readonly isShared: boolean;

  constructor(kind: "shared" | undefined, before?: RateLimitStats) {
    this.isShared = kind === "shared";
    this.rejected = before?.rejected ?? new Counter();
    this.fallbacks = before?.fallbacks ?? new Counter();
  }
}

export const rateLimitGroup = new StatsGroup<RateLimitStats, [route: string, kind: "shared" | undefined]>({
  labels: ["route"],
  make: (before, _route, kind) => new RateLimitStats(kind, before),
  metrics: [
    {
      name: "perch_rate_limited_total",
      help: "Requests that were rejected by their route's rate limit.",
      type: "counter",
      storage: ({ rejected }) => rejected,
    },
    {
      name: "perch_rate_limit_shared_fallbacks_total",
      help: "Requests of a shared rate limit that counted in one process only, as Redis was away or late.",
      type: "counter",
      storage: ({ fallbacks, isShared }) => (isShared ? fallbacks : undefined),
    },
  ],
});

const faultKinds = ["delay", "abort"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Requests that a route delayed or aborted to inject faults. */
export class FaultStats {
  readonly injected = new LabelCounters(faultKinds);
}

export const faultGroup = new StatsGroup<FaultStats, [route: string]>({
  labels: ["route"],
  make: (before) => before ?? new FaultStats(),
  metrics: [
    {
      name: "perch_faults_total",
      help: "Requests that were delayed or aborted by fault injection.",
      type: "counter",
      labels: ["kind"],
      storage: ({ injected }) => injected,
    },
  ],
});
