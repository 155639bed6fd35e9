import { type Exposition, type MetricsFormat, PrometheusExporter } from "./prometheus.ts";
import type { ExportedMetric, Sample } from "./stats-group.ts";
import type { StatsRegistry } from "./stats-registry.ts";
import type { WeightRatio } from "./weight-ratio.ts";

export interface EndpointState {
  readonly service: string;
  readonly version: string;
  /** The endpoint's origin. */
  readonly endpoint: string;
  readonly up: boolean;
}

/** When a listener's certificate expires. */
export interface CertificateExpiry {
  readonly listener: string;
  /** The first of the names that it is shown for. */
  readonly certificate: string;
  readonly notAfterMs: number;
}

/** Where a release's rollout stands, and what its checks say. */
export interface RolloutGauges {
  readonly release: string;
  readonly phase: string;
  /** From 1; 0 before the first. */
  readonly step: number;
  readonly checks: readonly {
    readonly name: string;
    readonly metric: string;
    readonly verdict: string;
    readonly evidence: number | null;
  }[];
}

/** What the exporter reads at each scrape. The functions answer for the active snapshot. */
export interface MetricsSource {
  readonly stats: StatsRegistry;
  readonly endpointStates: () => Iterable<EndpointState>;
  readonly weightRatios: () => Iterable<WeightRatio>;
  readonly rollouts: () => Iterable<RolloutGauges>;
  readonly rollbacks: () => Iterable<{ readonly release: string; readonly reason: string; readonly count: number }>;
  readonly certificates: () => Iterable<CertificateExpiry>;
  /** How many threads serve, and how many were replaced. */
  readonly workers: () => { readonly serving: number; readonly restarts: number };
  /** Perch's own version, and Node's without the leading `v`. */
  readonly build: { readonly version: string; readonly nodeVersion: string };
}

/** Everything that monitoring may depend on. Build one for a process and keep it. */
export class Metrics {
  readonly #exporter: PrometheusExporter;

  constructor(source: MetricsSource) {
    this.#exporter = new PrometheusExporter([...source.stats.metrics(), ...metricsOfOthers(source)]);
  }

  render(format: MetricsFormat): Promise<Exposition> {
    return this.#exporter.render(format);
  }
}

/** Metrics that no stats count: their source is asked at each scrape. */
function metricsOfOthers(source: MetricsSource): readonly ExportedMetric[] {
  const { endpointStates, weightRatios, certificates, workers, build, rollbacks } = source;
  return [
    gauge("perch_endpoint_up", "1 if the endpoint is available, 0 if it gets no requests.", function* () {
      for (const { up, ...labels } of endpointStates()) yield { labels, value: up ? 1 : 0 };
    }),
    gauge("perch_release_weight_ratio", "The share that the configured split gives a version, 0 to 1.", function* () {
      for (const { ratio, ...labels } of weightRatios()) yield { labels, value: ratio };
    }),
    ...rolloutMetrics(source.rollouts),
    {
      name: "perch_rollbacks_total",
      help: "Rollbacks since the process started.",
      type: "counter",
      *samples() {
        for (const { count, ...labels } of rollbacks()) yield { labels, value: count };
      },
    },
    gauge("perch_certificate_expiry_timestamp_seconds", "When a listener's certificate expires.", function* () {
      for (const { notAfterMs, ...labels } of certificates()) yield { labels, value: notAfterMs / 1000 };
    }),
    gauge("perch_workers", "Threads that serve requests.", () => [{ labels: {}, value: workers().serving }]),
    {
      name: "perch_worker_restarts_total",
      help: "Workers that were started to replace one that ended.",
      type: "counter",
      samples: () => [{ labels: {}, value: workers().restarts }],
    },
    gauge("perch_build_info", "Always 1; the labels are Perch's version and Node's.", () => [
      { labels: { version: build.version, node_version: build.nodeVersion }, value: 1 },
    ]),
  ];
}

const verdictValue: Readonly<Record<string, number>> = { pass: 1, fail: -1 };

function rolloutMetrics(rollouts: MetricsSource["rollouts"]): readonly ExportedMetric[] {
  return [
    gauge("perch_rollout_phase", "1 for the phase that the release's rollout is in.", function* () {
      for (const { release, phase } of rollouts()) yield { labels: { release, phase }, value: 1 };
    }),
    gauge("perch_rollout_step", "The rollout's current step, from 1; 0 before the first.", function* () {
      for (const { release, step } of rollouts()) yield { labels: { release }, value: step };
    }),
    gauge("perch_check_verdict", "1 for the verdict that the check has.", function* () {
      for (const { release, checks } of rollouts())
        for (const { name, verdict } of checks) yield { labels: { release, check: name, verdict }, value: 1 };
    }),
    gauge("perch_check_evidence", "The check's e-value, or the value that its query gave.", function* () {
      for (const { release, checks } of rollouts())
        for (const { name, evidence } of checks)
          if (evidence !== null) yield { labels: { release, check: name }, value: evidence };
    }),
    gauge("perch_drift_verdict", "Drift of the drawn shares: 1 none, 0 not enough data, -1 found.", function* () {
      for (const { release, checks } of rollouts()) {
        const drift = checks.find(({ metric }) => metric === "drift");
        if (drift !== undefined) yield { labels: { release }, value: verdictValue[drift.verdict] ?? 0 };
      }
    }),
  ];
}

function gauge(name: string, help: string, samples: () => Iterable<Sample>): ExportedMetric {
  return { name, help, type: "gauge", samples };
}
