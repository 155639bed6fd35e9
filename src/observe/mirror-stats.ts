import type { ErrorCode } from "../errors.ts";
import { type Counter, type CounterValues, countersOf, counterValues, setCounters } from "./counters.ts";
import { Histogram, type HistogramCounts } from "./histogram.ts";
import { type CellMetricOptions, histogramSamples } from "./prometheus.ts";
import type { StatsRegistry } from "./stats-registry.ts";

/**
 * How a copy ended: with an answer, by the class of its status; without one; given up on the way (its body grew beyond
 * the bound, its upstream took it too slowly, the request itself broke off, Perch ended); or never sent.
 */
export const mirrorOutcomes = [
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

/** What the stats of one (release, version) counted, as plain data. */
export type MirrorCounts = {
  readonly outcomes: CounterValues<MirrorOutcome>;
  readonly duration: HistogramCounts | undefined;
  readonly inFlight: number;
};

/** The copies of a release's requests for one version. They count here and nowhere else. */
export class MirrorStats {
  readonly release: string;
  readonly version: string;
  readonly outcomes = countersOf(mirrorOutcomes);
  /** Of copies that were answered, from their start to the end of the answer. */
  readonly duration = new Histogram();
  readonly inFlight: Counter = { value: 0 };

  constructor(release: string, version: string) {
    this.release = release;
    this.version = version;
  }

  counts(): MirrorCounts {
    return {
      outcomes: counterValues(this.outcomes),
      duration: this.duration.counts(),
      inFlight: this.inFlight.value,
    };
  }

  /** Holds these counts and no others. */
  restore(counts: MirrorCounts | undefined): void {
    setCounters(this.outcomes, counts?.outcomes);
    this.duration.restore(counts?.duration);
    this.inFlight.value = counts?.inFlight ?? 0;
  }

  ended(outcome: MirrorOutcome): void {
    this.outcomes[outcome].value++;
  }
}

/** What became of copied requests; no other metric counts them. */
export function mirrorMetrics(stats: StatsRegistry): CellMetricOptions[] {
  const duration = "perch_mirror_duration_seconds";
  return [
    {
      name: "perch_mirror_requests_total",
      help: "Requests that were to be copied to a version, by what became of the copy.",
      type: "counter",
      *samples() {
        for (const { release, version, outcomes } of stats.mirrors()) {
          for (const outcome of mirrorOutcomes)
            yield { labels: { release, version, outcome }, value: outcomes[outcome].value };
        }
      },
    },
    {
      name: duration,
      help: "Time from a copy's start to the end of its answer.",
      type: "histogram",
      *samples() {
        for (const mirror of stats.mirrors()) {
          const { release, version } = mirror;
          yield* histogramSamples(duration, { release, version }, mirror.duration);
        }
      },
    },
    {
      name: "perch_mirrors_in_flight",
      help: "Copies under way.",
      type: "gauge",
      *samples() {
        for (const { release, version, inFlight } of stats.mirrors())
          yield { labels: { release, version }, value: inFlight.value };
      },
    },
  ];
}
