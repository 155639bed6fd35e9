import { type Balancer, isUsable, type Wanted } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

/** The endpoint with the fewest requests in flight; among equals each is as likely as the other. */
export class LeastInFlight implements Balancer {
  pick(endpoints: readonly Endpoint[], wanted: Wanted): Endpoint | undefined {
    let least: Endpoint | undefined;
    let equals = 0;
    for (const endpoint of endpoints) {
      if (!isUsable(endpoint, wanted)) continue;
      if (least === undefined || endpoint.inFlight < least.inFlight) {
        least = endpoint;
        equals = 1;
        continue;
      }
      if (endpoint.inFlight > least.inFlight) continue;
      // The n-th of n equals takes the place of those before it one time in n: all end up with the same chance.
      equals++;
      if (wanted.randomFraction() * equals < 1) least = endpoint;
    }
    return least;
  }
}
