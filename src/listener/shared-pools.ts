import type { CachedClock } from "../proxy/cached-clock.ts";
import { FastUpstreamPools } from "../proxy/fast/upstream-pool.ts";
import { MirrorSender } from "../proxy/standard/mirror-sender.ts";
import { UpstreamPools } from "../proxy/standard/upstream-pool.ts";
import type { Endpoint } from "../upstream/endpoint.ts";

/** What the lanes keep beyond a request and share between listeners: the connections to endpoints. */
export class SharedPools {
  readonly standard = new UpstreamPools();
  readonly fast: FastUpstreamPools;
  readonly mirrors = new MirrorSender();

  constructor(clock: CachedClock) {
    this.fast = new FastUpstreamPools(clock);
  }

  /** No snapshot names the endpoint any more: what is in flight ends, then its connections close. */
  retire(endpoint: Endpoint): void {
    this.standard.retire(endpoint);
    this.fast.retire(endpoint);
    this.mirrors.retire(endpoint);
  }

  /** Breaks off whatever is still in flight. */
  async destroy(): Promise<void> {
    this.fast.destroy();
    await Promise.all([this.standard.destroy(), this.mirrors.destroy()]);
  }
}
