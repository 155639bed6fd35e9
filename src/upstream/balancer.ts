import type { Endpoint } from "./endpoint.ts";

/** A number in [0, 1); not for secrets. */
export type RandomFraction = () => number;

/** Who asks, as 64 bits: what `hash` goes by. */
export interface Affinity {
  readonly hi: number;
  readonly lo: number;
}

/** The request that an endpoint is wanted for. */
export interface Wanted {
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** Endpoints that this request could not reach: not asked again. */
  readonly tried: readonly Endpoint[];
  /** Undefined where nothing tells who asks, and where the balancer does not care. */
  readonly affinity: Affinity | undefined;
  readonly randomFraction: RandomFraction;
}

/** Chooses among the endpoints of one version; may remember what it chose before. */
export interface Balancer {
  /** Undefined where every endpoint is unavailable or was tried. Called once an attempt, so it allocates nothing. */
  pick(endpoints: readonly Endpoint[], wanted: Wanted): Endpoint | undefined;
}

/** What all balancers pass over. */
export function isUsable(endpoint: Endpoint | undefined, { nowMs, tried }: Wanted): endpoint is Endpoint {
  return endpoint?.available(nowMs) === true && !tried.includes(endpoint);
}

/** The first usable endpoint from `start` on, wrapping round. */
export function nextUsable(endpoints: readonly Endpoint[], start: number, wanted: Wanted): Endpoint | undefined {
  for (let offset = 0; offset < endpoints.length; offset++) {
    const endpoint = endpoints[(start + offset) % endpoints.length];
    if (isUsable(endpoint, wanted)) return endpoint;
  }
  return undefined;
}
