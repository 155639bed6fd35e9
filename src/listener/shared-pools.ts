import type { CachedClock } from "../proxy/fast/cached-clock.ts";
import { FastUpstreamPools } from "../proxy/fast/upstream-pool.ts";
import { MirrorSender } from "../proxy/standard/mirror-sender.ts";
import { UpstreamPools } from "../proxy/standard/upstream-pool.ts";
import type { Endpoint } from "../upstream/endpoint.ts";

/** The upstream connections of both lanes, shared by all listeners. */
export class SharedPools {
  readonly standard: UpstreamPools;
  readonly fast: FastUpstreamPools;
  readonly mirrors: MirrorSender;

  constructor(clock: CachedClock) {
    this.standard = new UpstreamPools(clock.nowMs);
    this.mirrors = new MirrorSender(clock.nowMs);
    this.fast = new FastUpstreamPools(clock);
  }

  /** For an endpoint that no snapshot contains any more: closes its connections once requests in flight have ended. */
  retire(endpoint: Endpoint): void {
    this.standard.retire(endpoint);
    this.fast.retire(endpoint);
    this.mirrors.retire(endpoint);
  }

  /** Aborts requests in flight. */
  async destroy(): Promise<void> {
    this.fast.destroy();
    await Promise.all([this.standard.destroy(), this.mirrors.destroy()]);
  }
}
