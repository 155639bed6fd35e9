import { type CellMetricOptions, histogramSamples } from "./cell-metric.ts";
import type { CellRegistry } from "./cells.ts";
import { mirrorOutcomes } from "./mirror-cells.ts";

/** What became of copied requests; no other metric counts them. */
export function mirrorMetrics(cells: CellRegistry): CellMetricOptions[] {
  const duration = "perch_mirror_duration_seconds";
  return [
    {
      name: "perch_mirror_requests_total",
      help: "Requests that were to be copied to a version, by what became of the copy.",
      type: "counter",
      *samples() {
        for (const { release, version, outcomes } of cells.mirrors()) {
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
        for (const mirror of cells.mirrors()) {
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
        for (const { release, version, inFlight } of cells.mirrors())
          yield { labels: { release, version }, value: inFlight.value };
      },
    },
  ];
}
