import type { ErrorCode } from "../errors.ts";
import { Counter, LabelCounters } from "./counters.ts";
import { Histogram } from "./histogram.ts";
import { StatsGroup } from "./stats-group.ts";

/**
 * How a mirrored request ended: with a response, by the class of its status; without one; abandoned (its body exceeded
 * the limit, its upstream read it too slowly, the original request was aborted, Perch shut down); or never sent.
 */
const mirrorOutcomes = [
  "2xx",
  "3xx",
  "4xx",
  "5xx",
  "connect-failed",
  "connect-timeout",
  "tls-failed",
  "upstream-reset",
  "upstream-timeout",
  "upstream-malformed",
  "upstream-refused",
  "abandoned-body-size",
  "abandoned-slow",
  "abandoned-request",
  "abandoned-shutdown",
  "skipped-body-size",
  "skipped-in-flight",
  "skipped-no-endpoint",
] as const satisfies readonly (ErrorCode | `${number}xx` | `abandoned-${string}` | `skipped-${string}`)[];
export type MirrorOutcome = (typeof mirrorOutcomes)[number];

/** Mirrored requests of one (release, version). They count here and in no other metric. */
export class MirrorStats {
  readonly outcomes = new LabelCounters(mirrorOutcomes);
  /** Of those with a response, from their start to its end. */
  readonly duration = new Histogram();
  readonly inFlight = new Counter();

  ended(outcome: MirrorOutcome): void {
    this.outcomes.count(outcome);
  }
}

export const mirrorGroup = new StatsGroup<MirrorStats, [release: string, version: string]>({
  labels: ["release", "version"],
  make: (before) => before ?? new MirrorStats(),
  metrics: [
    {
      name: "perch_mirror_requests_total",
      help: "Requests that were to be mirrored to a version, by outcome.",
      type: "counter",
      labels: ["outcome"],
      storage: ({ outcomes }) => outcomes,
    },
    {
      name: "perch_mirror_duration_seconds",
      help: "Time from the start of a mirrored request to the end of its response.",
      type: "histogram",
      storage: ({ duration }) => duration,
    },
    {
      name: "perch_mirrors_in_flight",
      help: "Mirrored requests in progress.",
      type: "gauge",
      storage: ({ inFlight }) => inFlight,
    },
  ],
});
