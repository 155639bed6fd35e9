import { type Balancer, nextUsable, type Wanted } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * Of two endpoints drawn at random the less loaded ("power of two choices", Mitzenmacher 2001): near the evenness of
 * asking all, without the herd that always picking the least loaded one makes. Load is what is in flight times the
 * recent latency, so a slow endpoint gets less as soon as it is slow, and a dead one whose answers do not come, nothing.
 */
export class PowerOfTwo implements Balancer {
  pick(endpoints: readonly Endpoint[], wanted: Wanted): Endpoint | undefined {
    const count = endpoints.length;
    const { nowMs, randomFraction } = wanted;
    const start = Math.floor(randomFraction() * count);
    const first = nextUsable(endpoints, start, wanted);
    if (first === undefined || count === 1) return first;
    const second = nextUsable(endpoints, start + 1 + Math.floor(randomFraction() * (count - 1)), wanted);
    return second !== undefined && second.loadAt(nowMs) < first.loadAt(nowMs) ? second : first;
  }
}
