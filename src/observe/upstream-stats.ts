import type { ErrorCode } from "../errors.ts";
import { Counter, LabelCounters } from "./counters.ts";
import { Histogram } from "./histogram.ts";
import { StatsGroup } from "./stats-group.ts";

const upstreamErrorKinds = [
  "connect-failed",
  "connect-timeout",
  "tls-failed",
  "upstream-reset",
  "upstream-timeout",
  "upstream-malformed",
  "upstream-refused",
  // Responses that were discarded to try again.
  "status-500",
  "status-502",
  "status-503",
  "status-504",
] as const satisfies readonly (ErrorCode | `status-${number}`)[];
export type UpstreamErrorKind = (typeof upstreamErrorKinds)[number];

/** How a retry ended. `rescued`: another version answered; `denied`: the retry budget allowed no further attempt. */
const retryOutcomes = ["success", "failure", "rescued", "denied"] as const;
export type RetryOutcome = (typeof retryOutcomes)[number];

/** Why a request was rejected: the queue was full, or it waited in the queue for too long. */
const overloadCauses = ["queue-full", "queue-timeout"] as const;
export type OverloadCause = (typeof overloadCauses)[number];

/** What happened to requests for one (service, version). */
export class UpstreamStats {
  /** From the start of the last attempt to the head of its response. */
  readonly ttfb = new Histogram();
  readonly inFlight = new Counter();
  /** Requests that were assigned this version and served by another, because it had no healthy endpoint. */
  readonly fallbacks = new Counter();
  readonly errors = new LabelCounters(upstreamErrorKinds);
  readonly retries = new LabelCounters(retryOutcomes);
  /** Requests that wait in the queue. */
  readonly pending = new Counter();
  readonly overloads = new LabelCounters(overloadCauses);
  /** Responses that no request asked for. */
  readonly unsolicited = new Counter();

  error(kind: UpstreamErrorKind): void {
    this.errors.count(kind);
  }

  retry(outcome: RetryOutcome): void {
    this.retries.count(outcome);
  }

  overload(cause: OverloadCause): void {
    this.overloads.count(cause);
  }
}

export const upstreamGroup = new StatsGroup<UpstreamStats, [service: string, version: string]>({
  labels: ["service", "version"],
  make: (before) => before ?? new UpstreamStats(),
  metrics: [
    {
      name: "perch_upstream_ttfb_seconds",
      help: "Time from the start of the last attempt to the head of the upstream's response.",
      type: "histogram",
      storage: ({ ttfb }) => ttfb,
    },
    {
      name: "perch_requests_in_flight",
      help: "Requests being forwarded.",
      type: "gauge",
      storage: ({ inFlight }) => inFlight,
    },
    {
      name: "perch_fallbacks_total",
      help: "Requests served by the default because this version had no healthy endpoint.",
      type: "counter",
      storage: ({ fallbacks }) => fallbacks,
    },
    {
      name: "perch_upstream_errors_total",
      help: "Attempts that failed: without a valid response, or with one that was discarded to try again.",
      type: "counter",
      labels: ["kind"],
      storage: ({ errors }) => errors,
    },
    {
      name: "perch_retries_total",
      help: "Requests that failed at this version and were to be retried, by outcome.",
      type: "counter",
      labels: ["outcome"],
      storage: ({ retries }) => retries,
    },
    {
      name: "perch_requests_pending",
      help: "Requests in the queue of a version that is at its limits.",
      type: "gauge",
      storage: ({ pending }) => pending,
    },
    {
      name: "perch_overloads_total",
      help: "Requests rejected by the version's limits, by cause.",
      type: "counter",
      labels: ["cause"],
      storage: ({ overloads }) => overloads,
    },
    {
      name: "perch_unsolicited_responses_total",
      help: "Times that an upstream connection sent bytes that no request asked for.",
      type: "counter",
      storage: ({ unsolicited }) => unsolicited,
    },
  ],
});
