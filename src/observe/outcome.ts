import type { ErrorCode } from "../errors.ts";
import type { SampledTrace } from "./histogram.ts";
import type { FaultKind } from "./route-stats.ts";

/** The result of a request, passed to `observe` when it ends. The exchange implements it, so nothing is copied. */
export interface Outcome {
  /** The route's name, or `none`. */
  readonly routeName: string;
  readonly serviceName: string | undefined;
  readonly releaseName: string | undefined;
  /** The version served. */
  readonly servedVersion: string | undefined;
  /** The version assigned; differs from the one served where the service lacks it, or by fallback. */
  readonly assignedVersion: string | undefined;
  readonly reason: string | undefined;
  readonly ruleName: string | undefined;
  readonly fallback: boolean;
  /** The injected fault, if any. */
  readonly fault: FaultKind | undefined;
  /** Whether the assigned version failed and the request was retried on the served one. */
  readonly rescued: boolean;
  /** Whether the assigned version failed or could not be reached, and a further attempt or another version followed. */
  readonly failedAttempt: boolean;
  /** An opaque digest of the unit, if a draw or a pin gave it the version. */
  readonly unit: string | undefined;
  /** As in `Decision`. */
  readonly odds: number | undefined;
  readonly method: string;
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  /** The status sent to the client; 499 if the client closed first. */
  readonly status: number;
  /** The gRPC status of a gRPC call, whose HTTP status is nearly always 200. */
  readonly grpcStatus: number | undefined;
  readonly error: ErrorCode | undefined;
  /** The system or TLS error of a failed connection to the endpoint. For the log only. */
  readonly errorCause: string | undefined;
  readonly requestId: string;
  /** The id of the request's trace, if any. */
  readonly traceId: string | undefined;
  /** The trace, if it is sampled. */
  readonly sampledTrace: SampledTrace | undefined;
  /** Canonical text of the derived client address. */
  readonly clientAddressText: string;
  /** Body bytes, without heads and chunk framing. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  /** From the start of the last attempt to the head of its response; undefined if there was none. */
  readonly ttfbMs: number | undefined;
  /** The endpoint's origin that answered or failed last. For the log only; never sent to a client. */
  readonly upstream: string | undefined;
  readonly attemptCount: number;
}
