import { type ErrorCode, errorTable } from "../errors.ts";
import { Counter, FractionalGauge, LabelCounters, SparseCounters } from "./counters.ts";
import type { MetricStorage, Series } from "./metric-storage.ts";
import { StatsGroup } from "./stats-group.ts";

/** One series of the value 1, whose label is the current text. The main thread alone has it, so it is never sent. */
class Info implements MetricStorage {
  text: string | undefined;

  *series(): Iterable<Series> {
    if (this.text !== undefined) yield { labels: [this.text], value: 1 };
  }

  counts(): undefined {}

  restore(): void {}
}

/** Loads of the configuration. */
export class ReloadStats {
  /** Reloads of a changed configuration. */
  readonly results = new LabelCounters(["success", "failure"]);
  /** 1 if the last attempt succeeded, 0 if the last valid configuration stayed active. */
  readonly lastSuccessful = new Counter();
  readonly lastSuccessSeconds = new FractionalGauge();
  /** The hash of the active configuration. */
  readonly activeHash = new Info();
  /** The version of the object of Kubernetes that it was read from; of other sources, nothing. */
  readonly resourceVersion = new Info();

  /** The first load, at start: a success that is no reload. `nowMs` is the wall clock, `hash` the configuration's. */
  loaded(nowMs: number, hash: string): void {
    this.activeHash.text = hash;
    this.lastSuccessful.value = 1;
    this.lastSuccessSeconds.value = nowMs / 1000;
  }

  /** A changed file became the active configuration. `nowMs` is the wall clock, `hash` the configuration's. */
  reloaded(nowMs: number, hash: string): void {
    this.results.count("success");
    this.loaded(nowMs, hash);
  }

  rejected(): void {
    this.results.count("failure");
    this.lastSuccessful.value = 0;
  }
}

export const reloadGroup = new StatsGroup<ReloadStats>({
  labels: [],
  make: () => new ReloadStats(),
  countedBy: "main-thread",
  metrics: [
    {
      name: "perch_config_reloads_total",
      help: "Reloads of a changed configuration, by result.",
      type: "counter",
      labels: ["result"],
      storage: ({ results }) => results,
    },
    {
      name: "perch_config_last_reload_successful",
      help: "1 if the last configuration found is the active one, 0 if it was rejected.",
      type: "gauge",
      storage: ({ lastSuccessful }) => lastSuccessful,
    },
    {
      name: "perch_config_last_reload_success_timestamp_seconds",
      help: "When the active configuration was loaded.",
      type: "gauge",
      storage: ({ lastSuccessSeconds }) => lastSuccessSeconds,
    },
    {
      name: "perch_config_info",
      help: "Always 1; the label is the hash of the active configuration and of the files that it names.",
      type: "gauge",
      labels: ["hash"],
      storage: ({ activeHash }) => activeHash,
    },
    {
      name: "perch_config_source_info",
      help: "Always 1; the label is the resourceVersion of the Kubernetes object with the active configuration.",
      type: "gauge",
      labels: ["resource_version"],
      storage: ({ resourceVersion }) => resourceVersion,
    },
  ],
});

/** The access log, which the main thread writes. */
export class AccessLogStats {
  /** Lines that could not be written. */
  readonly dropped = new Counter();
}

export const accessLogGroup = new StatsGroup<AccessLogStats>({
  labels: [],
  make: () => new AccessLogStats(),
  countedBy: "main-thread",
  metrics: [
    {
      name: "perch_access_log_dropped_total",
      help: "Access log lines that could not be written.",
      type: "counter",
      storage: ({ dropped }) => dropped,
    },
  ],
});

const fetchResults = ["success", "failure"] as const;
export type FetchResult = (typeof fetchResults)[number];

/** Fetches of published keys (JWKS). */
export class JwksStats {
  readonly fetches = new LabelCounters(fetchResults);

  fetched(result: FetchResult): void {
    this.fetches.count(result);
  }
}

export const jwksGroup = new StatsGroup<JwksStats>({
  labels: [],
  make: () => new JwksStats(),
  metrics: [
    {
      name: "perch_jwks_fetches_total",
      help: "Fetches of published keys; success: the response had keys.",
      type: "counter",
      labels: ["result"],
      storage: ({ fetches }) => fetches,
    },
  ],
});

/**
 * Why a connection left the fast lane: a head that it does not read, no route, a route that the standard lane serves, a
 * body whose size must be checked while it is forwarded, or a chunked body to be mirrored.
 */
const handoverCauses = ["head", "no-route", "route", "body-limit", "mirror-body"] as const;
export type HandoverCause = (typeof handoverCauses)[number];

/** Connections that the fast lane handed over to the standard lane. */
export class HandoverStats {
  readonly causes = new LabelCounters(handoverCauses);

  handedOver(cause: HandoverCause): void {
    this.causes.count(cause);
  }
}

export const handoverGroup = new StatsGroup<HandoverStats>({
  labels: [],
  make: () => new HandoverStats(),
  metrics: [
    {
      name: "perch_fast_lane_handovers_total",
      help: "Connections that the fast lane handed over to the standard lane, by cause.",
      type: "counter",
      labels: ["cause"],
      storage: ({ causes }) => causes,
    },
  ],
});

/** The errors and causes that are counted. A key is a place in this list. */
const refusals: readonly (readonly [error: string, cause: string])[] = Object.entries(errorTable).flatMap(
  ([error, { causes }]) => Object.keys(causes).map((cause) => [error, cause] as const),
);
const refusalKeys: ReadonlyMap<string, number> = new Map(refusals.map((names, key) => [names.join(" "), key]));

/** Errors that Perch answered: because it refused the request or the upstream's response, or had no response. */
export class RefusalStats {
  readonly causes = new SparseCounters((key) => refusals[key] ?? []);

  /** `cause`: one of the error's in the table of errors. */
  refused(error: ErrorCode, cause: string): void {
    const key = refusalKeys.get(`${error} ${cause}`);
    if (key !== undefined) this.causes.count(key);
  }
}

export const refusalGroup = new StatsGroup<RefusalStats>({
  labels: [],
  make: () => new RefusalStats(),
  metrics: [
    {
      name: "perch_refusals_total",
      help: "Errors that Perch answered itself, by cause.",
      type: "counter",
      labels: ["error", "cause"],
      storage: ({ causes }) => causes,
    },
  ],
});

/** Why a request was shed: too many were in flight, or the event loop was late. */
const shedCauses = ["in-flight", "loop-delay"] as const;
export type ShedCause = (typeof shedCauses)[number];

/** Requests that were rejected to keep Perch responsive. */
export class ShedStats {
  readonly causes = new LabelCounters(shedCauses);

  shed(cause: ShedCause): void {
    this.causes.count(cause);
  }
}

export const shedGroup = new StatsGroup<ShedStats>({
  labels: [],
  make: () => new ShedStats(),
  metrics: [
    {
      name: "perch_requests_shed_total",
      help: "Requests rejected to keep Perch responsive, by cause.",
      type: "counter",
      labels: ["cause"],
      storage: ({ causes }) => causes,
    },
  ],
});

/**
 * What became of a span: accepted by the collector, rejected by it, dropped after several attempts, or dropped because
 * the queue was full.
 */
const spanOutcomes = ["exported", "rejected", "undelivered", "overflow"] as const;
export type SpanOutcome = (typeof spanOutcomes)[number];

/** Spans of recorded requests. */
export class SpanStats {
  readonly outcomes = new LabelCounters(spanOutcomes);

  count(outcome: SpanOutcome, spans: number): void {
    this.outcomes.by[outcome].value += spans;
  }
}

export const spanGroup = new StatsGroup<SpanStats>({
  labels: [],
  make: () => new SpanStats(),
  metrics: [
    {
      name: "perch_trace_spans_total",
      help: "Spans of recorded requests, by outcome.",
      type: "counter",
      labels: ["outcome"],
      storage: ({ outcomes }) => outcomes,
    },
  ],
});
