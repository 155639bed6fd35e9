import { type KubernetesServiceState, kubernetesMetrics } from "./kubernetes-metrics.ts";
import { type Exposition, type MetricsFormat, PrometheusExporter } from "./prometheus.ts";
import { type RolloutsSource, rolloutMetrics } from "./rollout/rollout-metrics.ts";
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

/** What the exporter reads at each scrape. The functions answer for the active snapshot. */
export interface MetricsSource {
  readonly stats: StatsRegistry;
  readonly endpointStates: () => Iterable<EndpointState>;
  readonly weightRatios: () => Iterable<WeightRatio>;
  /** Undefined where there are none. */
  readonly rollouts: RolloutsSource | undefined;
  readonly certificates: () => Iterable<CertificateExpiry>;
  /** Those whose Pods are endpoints. Default: none. */
  readonly kubernetesServices?: () => Iterable<KubernetesServiceState>;
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
  const { endpointStates, weightRatios, certificates, kubernetesServices = () => [], workers, build } = source;
  return [
    gauge("perch_endpoint_up", "1 if the endpoint is available, 0 if it gets no requests.", function* () {
      for (const { up, ...labels } of endpointStates()) yield { labels, value: up ? 1 : 0 };
    }),
    gauge("perch_release_weight_ratio", "The share that the weights in force give a version, 0 to 1.", function* () {
      for (const { ratio, ...labels } of weightRatios()) yield { labels, value: ratio };
    }),
    ...kubernetesMetrics(kubernetesServices),
    ...rolloutMetrics(source.rollouts),
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

function gauge(name: string, help: string, samples: () => Iterable<Sample>): ExportedMetric {
  return { name, help, type: "gauge", samples };
}
