import type { RandomSource } from "../decide/unit.ts";
import type { Observer } from "../observe/observer.ts";
import type { HandoverCause } from "../observe/process-stats.ts";
import type { SpanSink } from "../observe/span.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import type { Mirrors } from "./mirror.ts";
import type { OverloadManager } from "./overload.ts";
import type { Snapshot } from "./snapshot.ts";

/** What an exchange needs of the process around it. Clock and randomness come from the composition root. */
export interface ProxyContext {
  /** For the requests that begin now. */
  readonly snapshot: Snapshot;
  readonly observer: Observer;
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic clock, milliseconds; for durations. */
  monotonicMs(): number;
  readonly randomFraction: RandomFraction;
  /** Unpredictable: a unit must not be guessed. */
  readonly randomUnit: RandomSource;
  newRequestId(): string;
  /** Hears of a defect of Perch that cost a request its answer. */
  defect(error: unknown): void;
  /** Hears of bytes of bodies that passed through, whose buffers are dead by now. */
  streamed(bytes: number): void;
  /** Hears of each connection that the fast lane gave to the standard one. */
  handedOver(cause: HandoverCause): void;
  readonly overload: OverloadManager;
  readonly mirrors: Mirrors;
  /** Takes the spans of requests that are recorded. */
  readonly spans: SpanSink;
  /** True once the process drains: every answer then closes its connection. */
  readonly draining: boolean;
}
