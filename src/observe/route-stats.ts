import { Counter, LabelCounters } from "./counters.ts";
import { StatsGroup } from "./stats-group.ts";

/** Requests that a route's rate limit rejected. */
export class RateLimitStats {
  readonly rejected = new Counter();
}

export const rateLimitGroup = new StatsGroup<RateLimitStats, [route: string]>({
  labels: ["route"],
  make: (before) => before ?? new RateLimitStats(),
  metrics: [
    {
      name: "perch_rate_limited_total",
      help: "Requests that were rejected by their route's rate limit.",
      type: "counter",
      storage: ({ rejected }) => rejected,
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
