import type { Endpoint } from "./endpoint.ts";

/** A number in [0, 1); not for secrets. */
export type RandomFraction = () => number;

/**
 * Picks the less busy of two endpoints drawn at random ("power of two choices", Mitzenmacher 2001): near the evenness
 * of asking all, without the herd that always picking the least busy one makes.
 *
 * Endpoints that are paused, or in `tried`, are passed over. Undefined where none is left.
 */
export function pickEndpoint(
  endpoints: readonly Endpoint[],
  nowMs: number,
  random: RandomFraction,
  tried: readonly Endpoint[],
): Endpoint | undefined {
  const count = endpoints.length;
  const start = Math.floor(random() * count);
  const first = nextUsable(endpoints, start, nowMs, tried);
  if (first === undefined || count === 1) return first;
  const second = nextUsable(endpoints, start + 1 + Math.floor(random() * (count - 1)), nowMs, tried);
  return second !== undefined && second.inFlight < first.inFlight ? second : first;
}

/** The first usable endpoint from `start` on, wrapping round. */
function nextUsable(
  endpoints: readonly Endpoint[],
  start: number,
  nowMs: number,
  tried: readonly Endpoint[],
): Endpoint | undefined {
  for (let offset = 0; offset < endpoints.length; offset++) {
    const endpoint = endpoints[(start + offset) % endpoints.length];
    if (endpoint?.available(nowMs) && !tried.includes(endpoint)) return endpoint;
  }
  return undefined;
}
