import { Registry } from "prom-client";
import { handoverCauses, spanOutcomes } from "./counters.ts";
import { type CertificateExpiry, listenerMetrics } from "./listener-stats.ts";
import { mirrorMetrics } from "./mirror-stats.ts";
import {
  byLabel,
  type CellMetricOptions,
  histogramSamples,
  openMetricsType,
  registerCellMetric,
  registerProcessMetrics,
  writeOpenMetrics,
} from "./prometheus.ts";
import type { StatsRegistry } from "./stats-registry.ts";
import type { WeightRatio } from "./weight-ratio.ts";

export interface EndpointState {
  readonly service: string;
  readonly version: string;
  /** The endpoint's origin. */
  readonly endpoint: string;
  readonly up: boolean;
}

/** What the exporter reads at each scrape. The functions answer for the active snapshot. */
export interface MetricsSource {
  readonly stats: StatsRegistry;
  readonly endpointStates: () => Iterable<EndpointState>;
  readonly weightRatios: () => Iterable<WeightRatio>;
  readonly certificates: () => Iterable<CertificateExpiry>;
  /** How many threads serve, and how many were replaced. */
  readonly workers: () => { readonly serving: number; readonly restarts: number };
  /** Perch's own version, and Node's without the leading `v`. */
  readonly build: { readonly version: string; readonly nodeVersion: string };
}

export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** Prometheus' text format 0.0.4, or OpenMetrics 1.0.0, which knows exemplars. */
export type MetricsFormat = "prometheus" | "open-metrics";

/** Everything that monitoring may depend on. Build one for a process and keep it. */
export class Metrics {
  readonly #registry = new Registry();

  constructor(source: MetricsSource) {
    const all = [
      ...requestMetrics(source.stats),
      ...upstreamMetrics(source.stats),
      ...releaseMetrics(source),
      ...mirrorMetrics(source.stats),
      ...listenerMetrics(source.stats, source.certificates),
      ...processWideMetrics(source),
    ];
    for (const metric of all) registerCellMetric(this.#registry, metric);
    registerProcessMetrics(this.#registry);
  }

  async render(format: MetricsFormat): Promise<Exposition> {
    if (format === "open-metrics") {
      // Its declarations number the types, which it keeps as words.
      const families = (await this.#registry.getMetricsAsJSON()).map((family) => ({
        ...family,
        type: String(family.type),
      }));
      return { contentType: openMetricsType, body: writeOpenMetrics(families) };
    }
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

function requestMetrics(stats: StatsRegistry): CellMetricOptions[] {
  const duration = "perch_request_duration_seconds";
  return [
    {
      name: "perch_requests_total",
      help: "Requests that ended, by what the client got; code 499 where it went away first.",
      type: "counter",
      *samples() {
        for (const request of stats.requests()) {
          const { route, service, version } = request;
          for (const { code, method, value } of request.series()) {
            yield { labels: { route, service, version, code, method }, value };
          }
        }
      },
    },
    {
      name: "perch_grpc_requests_total",
      help: "Calls of gRPC that ended, by their grpc-status.",
      type: "counter",
      *samples() {
        for (const request of stats.requests()) {
          const { route, service, version } = request;
          for (const [status, value] of request.grpcSeries()) {
            yield { labels: { route, service, version, grpc_status: String(status) }, value };
          }
        }
      },
    },
    {
      name: duration,
      help: "Time from a request's first byte to the end of its response.",
      type: "histogram",
      *samples() {
        for (const request of stats.requests()) {
          // A route that nobody uses would cost eighteen lines for each version at every scrape.
          if (request.duration.count === 0) continue;
          const { route, service, version } = request;
          yield* histogramSamples(duration, { route, service, version }, request.duration);
        }
      },
    },
    {
      name: "perch_rate_limited_total",
      help: "Requests that were one too many of their requester.",
      type: "counter",
      *samples() {
        for (const { route, has, rateLimited } of stats.routes()) {
          if (has.rateLimit) yield { labels: { route }, value: rateLimited.value };
        }
      },
    },
    {
      name: "perch_faults_total",
      help: "Requests that were delayed or aborted on purpose.",
      type: "counter",
      *samples() {
        for (const { route, has, faults } of stats.routes()) if (has.fault) yield* byLabel({ route }, "kind", faults);
      },
    },
    {
      name: "perch_attribute_errors_total",
      help: "Attribute values that were present and could not be used.",
      type: "counter",
      *samples() {
        for (const { attribute, errors } of stats.attributes()) yield* byLabel({ attribute }, "cause", errors);
      },
    },
  ];
}

function upstreamMetrics(stats: StatsRegistry): CellMetricOptions[] {
  const ttfb = "perch_upstream_ttfb_seconds";
  return [
    {
      name: ttfb,
      help: "Time from the start of the last attempt to the head of the upstream's response.",
      type: "histogram",
      *samples() {
        for (const upstream of stats.upstreams()) {
          const { service, version } = upstream;
          yield* histogramSamples(ttfb, { service, version }, upstream.ttfb);
        }
      },
    },
    {
      name: "perch_requests_in_flight",
      help: "Requests being forwarded.",
      type: "gauge",
      *samples() {
        for (const { service, version, inFlight } of stats.upstreams()) {
          yield { labels: { service, version }, value: inFlight.value };
        }
      },
    },
    {
      name: "perch_fallbacks_total",
      help: "Requests served by the default because this version had no healthy endpoint.",
      type: "counter",
      *samples() {
        for (const { service, version, fallbacks } of stats.upstreams()) {
          yield { labels: { service, version }, value: fallbacks.value };
        }
      },
    },
    {
      name: "perch_upstream_errors_total",
      help: "Attempts that failed: without a valid response, or with one that was discarded for another attempt.",
      type: "counter",
      *samples() {
        for (const { service, version, errors } of stats.upstreams()) {
          yield* byLabel({ service, version }, "kind", errors);
        }
      },
    },
    {
      name: "perch_retries_total",
      help: "Requests that failed at this version and were to be tried again, by how that ended.",
      type: "counter",
      *samples() {
        for (const { service, version, retries } of stats.upstreams()) {
          yield* byLabel({ service, version }, "outcome", retries);
        }
      },
    },
    {
      name: "perch_requests_pending",
      help: "Requests that wait for a place within the version's limits.",
      type: "gauge",
      *samples() {
        for (const { service, version, pending } of stats.upstreams()) {
          yield { labels: { service, version }, value: pending.value };
        }
      },
    },
    {
      name: "perch_overloads_total",
      help: "Requests that were turned away for the version's limits, by why.",
      type: "counter",
      *samples() {
        for (const { service, version, overloads } of stats.upstreams()) {
          yield* byLabel({ service, version }, "cause", overloads);
        }
      },
    },
  ];
}

function releaseMetrics({ stats, weightRatios }: MetricsSource): CellMetricOptions[] {
  return [
    {
      name: "perch_decisions_total",
      help: "Decisions by the version assigned, which is not always the one served.",
      type: "counter",
      *samples() {
        for (const { release, versions } of stats.releases()) {
          for (const [version, { byReason }] of versions) {
            for (const sample of byLabel({ release, version }, "reason", byReason)) if (sample.value > 0) yield sample;
          }
        }
      },
    },
    {
      name: "perch_rule_hits_total",
      help: "Requests that a rule decided.",
      type: "counter",
      *samples() {
        for (const { release, ruleHits } of stats.releases()) {
          for (const [rule, { value }] of ruleHits) yield { labels: { release, rule }, value };
        }
      },
    },
    {
      name: "perch_pins_rejected_total",
      help: "Pins that counted as none.",
      type: "counter",
      *samples() {
        for (const { release, pinsRejected } of stats.releases()) yield* byLabel({ release }, "cause", pinsRejected);
      },
    },
    {
      name: "perch_pin_flips_total",
      help: "Users assigned another version than before, by weights, rules or epoch.",
      type: "counter",
      *samples() {
        for (const { release, pinFlips } of stats.releases()) yield { labels: { release }, value: pinFlips.value };
      },
    },
    {
      name: "perch_release_weight_ratio",
      help: "The share that the configured split gives a version, 0 to 1.",
      type: "gauge",
      *samples() {
        for (const { release, version, ratio } of weightRatios()) yield { labels: { release, version }, value: ratio };
      },
    },
  ];
}

function processWideMetrics({ stats, endpointStates, workers, build }: MetricsSource): CellMetricOptions[] {
  const { reloads, accessLogDropped, handovers, jwks, spans, shed } = stats;
  const { version, nodeVersion } = build;
  return [
    {
      name: "perch_endpoint_up",
      help: "1 where the endpoint is believed to answer, 0 where it gets no requests.",
      type: "gauge",
      *samples() {
        for (const state of endpointStates()) {
          const { service, version, endpoint } = state;
          yield { labels: { service, version, endpoint }, value: state.up ? 1 : 0 };
        }
      },
    },
    {
      name: "perch_dns_resolutions_total",
      help: "Answers for the names of endpoints; empty or a failure: earlier ones count on.",
      type: "counter",
      *samples() {
        for (const { name, outcomes } of stats.names().values()) yield* byLabel({ name }, "outcome", outcomes);
      },
    },
    {
      name: "perch_config_reloads_total",
      help: "Changed configurations that were found, by whether they became active.",
      type: "counter",
      samples: () => byLabel({}, "result", { success: reloads.succeeded, failure: reloads.failed }),
    },
    lone(
      "perch_config_last_reload_successful",
      "1 where the last configuration found is the active one.",
      "gauge",
      () => reloads.lastSuccessful.value,
    ),
    lone(
      "perch_config_last_reload_success_timestamp_seconds",
      "When the active configuration was loaded.",
      "gauge",
      () => reloads.lastSuccessSeconds.value,
    ),
    lone(
      "perch_access_log_dropped_total",
      "Access log lines that could not be written.",
      "counter",
      () => accessLogDropped.value,
    ),
    {
      name: "perch_jwks_fetches_total",
      help: "Fetches of published keys, by whether they gave keys.",
      type: "counter",
      samples: () => byLabel({}, "result", jwks.fetches),
    },
    {
      name: "perch_fast_lane_handovers_total",
      help: "Connections that the fast lane gave to the standard lane, by what made them unfit for it.",
      type: "counter",
      *samples() {
        for (const cause of handoverCauses) yield { labels: { cause }, value: handovers.causes[cause].value };
      },
    },
    {
      name: "perch_requests_shed_total",
      help: "Requests that were turned away to keep Perch responsive.",
      type: "counter",
      samples: () => byLabel({}, "cause", shed.causes),
    },
    {
      name: "perch_trace_spans_total",
      help: "Spans of requests that were recorded, by what became of them.",
      type: "counter",
      *samples() {
        for (const outcome of spanOutcomes) yield { labels: { outcome }, value: spans.outcomes[outcome].value };
      },
    },
    lone("perch_workers", "Threads that serve.", "gauge", () => workers().serving),
    lone(
      "perch_worker_restarts_total",
      "Workers that were started in place of one that ended.",
      "counter",
      () => workers().restarts,
    ),
    {
      name: "perch_build_info",
      help: "Always 1; the labels say what is running.",
      type: "gauge",
      samples: () => [{ labels: { version, node_version: nodeVersion }, value: 1 }],
    },
  ];
}

function lone(name: string, help: string, type: "counter" | "gauge", value: () => number): CellMetricOptions {
  return { name, help, type, samples: () => [{ labels: {}, value: value() }] };
}
