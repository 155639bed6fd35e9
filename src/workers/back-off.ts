const shortestMs = 100;
const longestMs = 30_000;
/** Whoever served this long did not end by what the start found. */
const soundMs = 60_000;

/** How long to wait before a worker is replaced: twice as long each time, unless the one before served for a while. */
export class BackOff {
  #failures = 0;

  /** `servedMs`: how long the worker that ended had served. */
  next(servedMs: number): number {
    if (servedMs >= soundMs) this.#failures = 0;
    return Math.min(longestMs, shortestMs * 2 ** this.#failures++);
  }
}
