import type { EventClock } from "../proxy/cached-clock.ts";
import { UpstreamPools } from "../proxy/fast/upstream-pool.ts";
import { MirrorSender } from "../proxy/standard/mirror-sender.ts";
import { Pools } from "../proxy/standard/upstream-pool.ts";
import type { Endpoint } from "../upstream/endpoint.ts";

/** What the lanes keep beyond a request and share between listeners: the connections to endpoints. */
export class Lanes {
  readonly standard = new Pools();
  readonly fast: UpstreamPools;
  readonly mirrors = new MirrorSender();

  constructor(clock: EventClock) {
    this.fast = new UpstreamPools(clock);
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
