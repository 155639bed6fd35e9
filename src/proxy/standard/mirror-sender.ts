import { nextUsable } from "../../upstream/balancer.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { Gateway } from "../gateway.ts";
import type { Mirror, MirrorOrder, Mirrors } from "../mirroring.ts";
import { MirrorRequest } from "./mirror-request.ts";
import { Pools } from "./pools.ts";

/**
 * Sends copies of requests, whichever lane serves them. Its connections are its own, so that a copy never takes one from a
 * request, and it tells endpoints nothing: neither what they have in flight nor whether they can be reached.
 */
export class MirrorSender implements Mirrors {
  readonly #pools = new Pools();
  readonly #active = new Set<MirrorRequest>();
  #settled: (() => void) | undefined;

  begin(order: MirrorOrder, gateway: Gateway): Mirror | undefined {
    const { spec, cells, version, service } = order.mirroring;
    if (cells.inFlight.value >= spec.maxInFlight) {
      cells.ended("skipped-in-flight");
      return undefined;
    }
    if (typeof order.body === "number" && order.body > spec.maxBodyBytes) {
      cells.ended("skipped-body-size");
      return undefined;
    }
    const endpoint = anyUsable(version.endpoints.current, gateway);
    if (endpoint === undefined) {
      cells.ended("skipped-no-endpoint");
      return undefined;
    }
    const request = new MirrorRequest(order, endpoint, () => gateway.monotonicMs(), this.#onEnd);
    this.#active.add(request);
    // In a turn of its own: whatever the request still has to write in this one goes first.
    setImmediate(() => {
      request.send(this.#pools.get(endpoint, service));
      if (endpoint.retired) this.#pools.retire(endpoint);
    });
    return request;
  }

  /** No snapshot names it any more. */
  retire(endpoint: Endpoint): void {
    this.#pools.retire(endpoint);
  }

  /** Resolves once no copy is under way, or after so long. */
  async settled(withinMs: number): Promise<void> {
    if (this.#active.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settled = resolve;
    const timer = setTimeout(resolve, withinMs);
    await promise;
    clearTimeout(timer);
  }

  /** Breaks off whatever is still under way. */
  async destroy(): Promise<void> {
    for (const request of this.#active) request.abandon("abandoned-shutdown");
    await this.#pools.destroy();
  }

  readonly #onEnd = (request: MirrorRequest): void => {
    this.#active.delete(request);
    if (this.#active.size === 0) this.#settled?.();
  };
}

/** Not by the version's balancer, which remembers whom it chose. */
function anyUsable(endpoints: readonly Endpoint[], gateway: Gateway): Endpoint | undefined {
  const { randomFraction } = gateway;
  const start = Math.floor(randomFraction() * endpoints.length);
  return nextUsable(endpoints, start, { nowMs: gateway.nowMs(), tried: [], affinity: undefined, randomFraction });
}
