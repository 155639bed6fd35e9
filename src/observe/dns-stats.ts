import { LabelCounters } from "./counters.ts";
import { StatsGroup } from "./stats-group.ts";

/** `empty`: the name servers report that the name has no records; `failure`: none of them answered. */
const resolutionOutcomes = ["success", "empty", "failure"] as const;
export type ResolutionOutcome = (typeof resolutionOutcomes)[number];

/** Resolutions of one name. */
export class DnsStats {
  readonly outcomes = new LabelCounters(resolutionOutcomes);

  resolved(outcome: ResolutionOutcome): void {
    this.outcomes.count(outcome);
  }
}

export const dnsGroup = new StatsGroup<DnsStats, [name: string]>({
  labels: ["name"],
  make: (before) => before ?? new DnsStats(),
  metrics: [
    {
      name: "perch_dns_resolutions_total",
      help: "DNS resolutions of endpoint names; empty or failure: the addresses of the last success stay in use.",
      type: "counter",
      labels: ["outcome"],
      storage: ({ outcomes }) => outcomes,
    },
  ],
});
