import type { ErrorCode } from "../errors.ts";
import { type Counter, type CounterValues, countersOf, counterValues, setCounters } from "./counters.ts";
import { Histogram, type HistogramCounts } from "./histogram.ts";

export const upstreamErrorKinds = [
  "connect-failed",
  "connect-timeout",
  "tls-failed",
  "upstream-reset",
  "upstream-timeout",
  "upstream-malformed",
  "upstream-refused",
  // Answers that were discarded for another attempt.
  "status-500",
  "status-502",
  "status-503",
  "status-504",
] as const satisfies readonly (ErrorCode | `status-${number}`)[];
export type UpstreamErrorKind = (typeof upstreamErrorKinds)[number];

/** How it ended for a request that was tried again: another version answered it (`rescued`), or no retry was left to it (`denied`). */
export const retryOutcomes = ["success", "failure", "rescued", "denied"] as const;
export type RetryOutcome = (typeof retryOutcomes)[number];

/** Why a request was turned away: too many waited already, or it waited for too long. */
export const overloadCauses = ["queue-full", "queue-timeout"] as const;
export type OverloadCause = (typeof overloadCauses)[number];

/** What the stats of one (service, version) counted, as plain data. */
export type UpstreamCounts = {
  readonly ttfb: HistogramCounts | undefined;
  readonly inFlight: number;
  readonly fallbacks: number;
  readonly errors: CounterValues<UpstreamErrorKind>;
  readonly retries: CounterValues<RetryOutcome>;
  readonly pending: number;
  readonly overloads: CounterValues<OverloadCause>;
};

/** What happened towards one (service, version). */
export class UpstreamStats {
  readonly service: string;
  readonly version: string;
  /** From the start of the last attempt to the head of its response. */
  readonly ttfb = new Histogram();
  readonly inFlight: Counter = { value: 0 };
  /** Requests that were assigned this version and served by another, for want of a healthy endpoint. */
  readonly fallbacks: Counter = { value: 0 };
  readonly errors = countersOf(upstreamErrorKinds);
  readonly retries = countersOf(retryOutcomes);
  /** Requests that wait for a place. */
  readonly pending: Counter = { value: 0 };
  readonly overloads = countersOf(overloadCauses);

  constructor(service: string, version: string) {
    this.service = service;
    this.version = version;
  }

  counts(): UpstreamCounts {
    return {
      ttfb: this.ttfb.counts(),
      inFlight: this.inFlight.value,
      fallbacks: this.fallbacks.value,
      errors: counterValues(this.errors),
      retries: counterValues(this.retries),
      pending: this.pending.value,
      overloads: counterValues(this.overloads),
    };
  }

  /** Holds these counts and no others. */
  restore(counts: UpstreamCounts | undefined): void {
    this.ttfb.restore(counts?.ttfb);
    this.inFlight.value = counts?.inFlight ?? 0;
    this.fallbacks.value = counts?.fallbacks ?? 0;
    setCounters(this.errors, counts?.errors);
    setCounters(this.retries, counts?.retries);
    this.pending.value = counts?.pending ?? 0;
    setCounters(this.overloads, counts?.overloads);
  }

  error(kind: UpstreamErrorKind): void {
    this.errors[kind].value++;
  }

  retry(outcome: RetryOutcome): void {
    this.retries[outcome].value++;
  }

  overload(cause: OverloadCause): void {
    this.overloads[cause].value++;
  }
}
