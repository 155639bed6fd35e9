import type { Wanted } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * Whom to ask where no endpoint is fit and no other version can serve. Checks may be wrong, and an endpoint that refused may
 * be back: asking costs nothing, and ends the outage with the first request after it. One that was ejected answered badly to
 * real requests, so it is believed.
 */
export function lastResort(
  endpoints: readonly Endpoint[],
  { nowMs, tried, randomFraction }: Wanted,
  attempt: "first" | "further",
): Endpoint | undefined {
  const closed = endpoints.filter(
    ({ health, inFlight, maxInFlight }) => !health.available(nowMs) && !health.isEjected && inFlight < maxInFlight,
  );
  const untried = closed.filter((endpoint) => !tried.includes(endpoint));
  const reachable = untried.filter(({ health }) => !health.isRefused);
  // Each that refuses may take the whole connect timeout: one of them is enough.
  const candidates = reachable.length === 0 && attempt === "first" ? untried : reachable;
  return candidates[Math.floor(randomFraction() * candidates.length)];
}
