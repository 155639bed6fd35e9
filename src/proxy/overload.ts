import type { Limits } from "../config/compiled-config.ts";
import type { ShedCause } from "../observe/process-stats.ts";

/** How often the delay of the event loop is sampled. */
const sampleIntervalMs = 50;
/** Weight of a new sample. A single garbage collection pause is over by the time it is seen, so it must not shed. */
const smoothing = 1 / 3;

/**
 * Sheds requests over the limits of this thread before any work is done for them. A client that is rejected at once can
 * retry elsewhere, and the requests in flight still finish in time.
 */
export class OverloadManager {
  readonly #monotonicMs: () => number;
  readonly #onShed: (cause: ShedCause) => void;
  #inFlight = 0;
  #loopDelayMs = 0;
  #dueMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(monotonicMs: () => number, onShed: (cause: ShedCause) => void) {
    this.#monotonicMs = monotonicMs;
    this.#onShed = onShed;
  }

  /** Why a further request may not begin. Undefined if it may; then it counts as in flight until `release`. */
  admit({ inFlight, loopDelayMs }: Limits): ShedCause | undefined {
    if (this.#inFlight >= inFlight) return this.#shed("in-flight");
    if (this.#loopDelayMs > loopDelayMs) return this.#shed("loop-delay");
    this.#inFlight++;
    return undefined;
  }

  release(): void {
    this.#inFlight--;
  }

  /** Samples the event loop only if there is a limit on its delay. */
  watch({ loopDelayMs }: Limits): void {
    const isLimited = loopDelayMs !== Number.POSITIVE_INFINITY;
    if (isLimited === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#loopDelayMs = 0;
    if (!isLimited) return;
    this.#dueMs = this.#monotonicMs() + sampleIntervalMs;
    this.#timer = setInterval(this.#sample, sampleIntervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  readonly #sample = (): void => {
    const nowMs = this.#monotonicMs();
    this.#loopDelayMs += (Math.max(0, nowMs - this.#dueMs) - this.#loopDelayMs) * smoothing;
    this.#dueMs = nowMs + sampleIntervalMs;
  };

  #shed(cause: ShedCause): ShedCause {
    this.#onShed(cause);
    return cause;
  }
}
