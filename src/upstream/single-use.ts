/** How long an endpoint's connections carry one request each, from its last unsolicited response on. */
const singleUseMs = 600_000;

/**
 * Whether an endpoint's connections carry one request each, because it has sent bytes that no request asked for. On a
 * connection that is reused, such bytes can arrive just after the next request was written, and no proxy can tell them
 * from the response to it.
 */
export class SingleUse {
  /** 0: it never has. Plain data, which can be sent to another thread. */
  untilMs = 0;

  isActive(nowMs: number): boolean {
    return this.untilMs !== 0 && nowMs < this.untilMs;
  }

  /** Bytes arrived on a connection that is not reused: no harm, but the endpoint still sends them. */
  prolong(nowMs: number): void {
    if (this.isActive(nowMs)) this.untilMs = nowMs + singleUseMs;
  }

  /** Bytes arrived that no request asked for. True if reuse ends with them. */
  unsolicited(nowMs: number): boolean {
    const begins = !this.isActive(nowMs);
    this.untilMs = nowMs + singleUseMs;
    return begins;
  }
}
