import { UpstreamPools } from "./proxy/fast/upstream-pools.ts";
import { Pools } from "./proxy/standard/pools.ts";
import type { Endpoint } from "./upstream/endpoint.ts";

/** What the lanes keep beyond a request and share between listeners: the connections to endpoints. */
export class Lanes {
  readonly standard = new Pools();
  readonly fast: UpstreamPools;

  constructor(monotonicMs: () => number) {
    this.fast = new UpstreamPools(monotonicMs);
  }

  /** No snapshot names the endpoint any more: what is in flight ends, then its connections close. */
  retire(endpoint: Endpoint): void {
    this.standard.retire(endpoint);
    this.fast.retire(endpoint);
  }

  /** Breaks off whatever is still in flight. */
  destroy(): Promise<void> {
    this.fast.destroy();
    return this.standard.destroy();
  }
}
