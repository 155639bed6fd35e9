import { type Balancer, isUsable, type Wanted } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

/** One after the other. Whoever follows an endpoint that is passed over does not get its turns: the count goes on there. */
export class RoundRobin implements Balancer {
  /** Begins anywhere: several workers, each with a count of its own, must not all begin at the same endpoint. */
  #next: number | undefined;

  pick(endpoints: readonly Endpoint[], wanted: Wanted): Endpoint | undefined {
    const count = endpoints.length;
    const start = this.#next ?? Math.floor(wanted.randomFraction() * count);
    for (let offset = 0; offset < count; offset++) {
      const place = (start + offset) % count;
      const endpoint = endpoints[place];
      if (!isUsable(endpoint, wanted)) continue;
      this.#next = place + 1;
      return endpoint;
    }
    return undefined;
  }
}
