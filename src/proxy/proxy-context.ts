import type { RandomSource } from "../decide/unit.ts";
import type { ErrorCode } from "../errors.ts";
import type { Observer } from "../observe/observer.ts";
import type { HandoverCause } from "../observe/process-stats.ts";
import type { SpanSink } from "../observe/span.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import type { Mirrors } from "./mirror.ts";
import type { OverloadManager } from "./overload.ts";
import type { Snapshot } from "./snapshot.ts";

/** The process-wide dependencies of an exchange. Clock and randomness come from the composition root. */
export interface ProxyContext {
  readonly snapshot: Snapshot;
  readonly observer: Observer;
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic clock, milliseconds; for durations. */
  monotonicMs(): number;
  readonly randomFraction: RandomFraction;
  /** Must be unpredictable, so that a client cannot guess the unit of another one. */
  readonly randomUnit: RandomSource;
  newRequestId(): string;
  /** Reports a defect of Perch that failed a request. */
  defect(error: unknown): void;
  /** Reports body bytes that were forwarded, whose buffers are garbage now. */
  streamed(bytes: number): void;
  /** Reports a handover of a connection from the fast lane to the standard lane. */
  handedOver(cause: HandoverCause): void;
  /** Counts an error that Perch answers. `cause`: one in the table of errors. */
  refused(error: ErrorCode, cause: string): void;
  readonly overload: OverloadManager;
  readonly mirrors: Mirrors;
  readonly spans: SpanSink;
  /** True while the process drains: every response then closes its connection. */
  readonly draining: boolean;
}
