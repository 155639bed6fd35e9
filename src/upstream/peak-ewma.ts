/** How long what was seen goes on to count: after this time to 37 %. */
const decayMs = 10_000;

/** What a failure of an endpoint of which nothing else is known counts as, and the worst that failures add up to. */
const leastFailureMs = 10;
const mostFailureMs = 30_000;

/**
 * What an endpoint's answers take, as load balancing wants to know it: a peak at once, better news by and by, and nothing
 * lasts. An exponentially weighted moving average over time, not over requests, that jumps up to any higher value (Finagle's
 * `p2cPeakEwma`, https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded; linkerd2-proxy
 * took it over). It fades while nobody asks, so that an endpoint which was slow is tried again.
 */
export class PeakEwma {
  #valueMs = 0;
  #atMs = 0;

  observe(latencyMs: number, nowMs: number): void {
    const faded = this.#fadedBy(nowMs);
    this.#valueMs = Math.max(latencyMs, this.#valueMs * faded + latencyMs * (1 - faded));
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** Nobody waited longer: the answer would have taken at least so long. */
  gaveUp(waitedMs: number, nowMs: number): void {
    this.#rise(waitedMs, nowMs);
  }

  /**
   * An endpoint that breaks every connection at once answers nobody and is idle: it would seem to be the best of all. Each
   * failure doubles what is expected of it.
   */
  failed(nowMs: number): void {
    this.#rise(Math.min(Math.max(2 * this.valueAt(nowMs), leastFailureMs), mostFailureMs), nowMs);
  }

  #rise(latencyMs: number, nowMs: number): void {
    this.#valueMs = Math.max(latencyMs, this.valueAt(nowMs));
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** 0 where nothing is known. */
  valueAt(nowMs: number): number {
    return this.#valueMs === 0 ? 0 : this.#valueMs * this.#fadedBy(nowMs);
  }

  /** A clock that was set back counts as one that stood still. */
  #fadedBy(nowMs: number): number {
    return nowMs <= this.#atMs ? 1 : Math.exp((this.#atMs - nowMs) / decayMs);
  }
}
