import type { ErrorCode } from "../errors.ts";
import { type Cell, cellsOf } from "./cell.ts";
import { Histogram } from "./histogram.ts";

export const upstreamErrorKinds = [
  "connect-failed",
  "connect-timeout",
  "upstream-reset",
  "upstream-timeout",
  "upstream-malformed",
] as const satisfies readonly ErrorCode[];
export type UpstreamErrorKind = (typeof upstreamErrorKinds)[number];

export const retryOutcomes = ["success", "failure"] as const;
export type RetryOutcome = (typeof retryOutcomes)[number];

/** What happened towards one (service, version). */
export class UpstreamCells {
  readonly service: string;
  readonly version: string;
  /** From the start of the last attempt to the head of its response. */
  readonly ttfb = new Histogram();
  readonly inFlight: Cell = { value: 0 };
  /** Requests that were assigned this version and served by another, for want of a healthy endpoint. */
  readonly fallbacks: Cell = { value: 0 };
  readonly errors = cellsOf(upstreamErrorKinds);
  readonly retries = cellsOf(retryOutcomes);

  constructor(service: string, version: string) {
    this.service = service;
    this.version = version;
  }

  error(kind: UpstreamErrorKind): void {
    this.errors[kind].value++;
  }

  retry(outcome: RetryOutcome): void {
    this.retries[outcome].value++;
  }
}
