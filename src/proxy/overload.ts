import type { Limits } from "../config/compiled-config.ts";
import type { ShedCause } from "../observe/process-stats.ts";

/** How often the event loop is asked how late it is. */
const askedEveryMs = 50;
/** What one answer counts for beside those before it: a pause for garbage is over by the time that it is seen. */
const smoothing = 1 / 3;

/**
 * How busy this thread is. Requests beyond what it may have are turned away before anything is done for them: whoever is
 * told at once can go elsewhere, and what is under way ends in time.
 */
export class OverloadManager {
  readonly #monotonicMs: () => number;
  readonly #turnedAway: (cause: ShedCause) => void;
  #inFlight = 0;
  #lateMs = 0;
  #dueMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(monotonicMs: () => number, turnedAway: (cause: ShedCause) => void) {
    this.#monotonicMs = monotonicMs;
    this.#turnedAway = turnedAway;
  }

  /** Whether one more request may begin; it then counts until it has `ended`. */
  admit({ inFlight, loopDelayMs }: Limits): boolean {
    if (this.#inFlight >= inFlight) return this.#refuse("in-flight");
    if (this.#lateMs > loopDelayMs) return this.#refuse("loop-delay");
    this.#inFlight++;
    return true;
  }

  release(): void {
    this.#inFlight--;
  }

  /** The event loop is watched only where there is a bound on how late it may be. */
  watch({ loopDelayMs }: Limits): void {
    const watched = loopDelayMs !== Number.POSITIVE_INFINITY;
    if (watched === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#lateMs = 0;
    if (!watched) return;
    this.#dueMs = this.#monotonicMs() + askedEveryMs;
    this.#timer = setInterval(this.#ask, askedEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  readonly #ask = (): void => {
    const nowMs = this.#monotonicMs();
    this.#lateMs += (Math.max(0, nowMs - this.#dueMs) - this.#lateMs) * smoothing;
    this.#dueMs = nowMs + askedEveryMs;
  };

  #refuse(cause: ShedCause): false {
    this.#turnedAway(cause);
    return false;
  }
}
