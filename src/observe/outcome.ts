import type { ErrorCode } from "../errors.ts";
import type { SampledTrace } from "./histogram.ts";
import type { FaultKind } from "./route-stats.ts";

/** What the one `observe` call learns of a request that ended. The exchange itself implements it, so nothing is copied. */
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
  /** What was done to it on purpose. */
  readonly fault: FaultKind | undefined;
  /** Whether the version assigned failed the request, and the one served answered it instead. */
  readonly rescued: boolean;
  readonly method: string;
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  /** What the client got; 499 where it went away first. */
  readonly status: number;
  /** How the call ended, where it was one of gRPC; the status is then 200 nearly always. */
  readonly grpcStatus: number | undefined;
  readonly error: ErrorCode | undefined;
  /** Why the endpoint could not be reached, in the words of the system or of TLS. For the log only. */
  readonly errorCause: string | undefined;
  readonly requestId: string;
  /** Of the trace that the request is a part of; undefined where there is none. */
  readonly traceId: string | undefined;
  /** That trace, where it is recorded. */
  readonly sampledTrace: SampledTrace | undefined;
  /** Canonical text of the derived client address. */
  readonly clientAddressText: string;
  /** Body bytes, without heads and chunk framing. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  /** From the start of the last attempt to the head of its response; undefined where none came. */
  readonly ttfbMs: number | undefined;
  /** The endpoint's origin that answered or failed last. For the log only; never sent to a client. */
  readonly upstream: string | undefined;
  readonly attemptCount: number;
}
