import { hashToFraction } from "../decide/hash.ts";
import type { RandomFraction } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Balance } from "./service-spec.ts";

/** The requester, as 64 bits, which `hash` balances by. */
export interface Affinity {
  readonly hi: number;
  readonly lo: number;
}

/** The request to pick an endpoint for. */
export interface PickContext {
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** Endpoints that this request has tried; they are not picked again. */
  readonly tried: readonly Endpoint[];
  /** Undefined if the requester is unknown or the balancer does not use it. */
  readonly affinity: Affinity | undefined;
  readonly randomFraction: RandomFraction;
}

/** Picks among the endpoints of one version; may have state. */
export interface Balancer {
  /** Undefined if every endpoint is unavailable or was tried. Called per attempt, so it does not allocate. */
  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined;
}

function isUsable(endpoint: Endpoint | undefined, { nowMs, tried }: PickContext): endpoint is Endpoint {
  return endpoint?.available(nowMs) === true && !tried.includes(endpoint);
}

/** The first usable endpoint from `start` on, wrapping around. */
export function nextUsable(endpoints: readonly Endpoint[], start: number, wanted: PickContext): Endpoint | undefined {
  for (let offset = 0; offset < endpoints.length; offset++) {
    const endpoint = endpoints[(start + offset) % endpoints.length];
    if (isUsable(endpoint, wanted)) return endpoint;
  }
  return undefined;
}

export function createBalancer(balance: Balance): Balancer {
  switch (balance) {
    case "p2c":
      return new PowerOfTwo();
    case "round-robin":
      return new RoundRobin();
    case "least-in-flight":
      return new LeastInFlight();
    case "hash":
      return new Rendezvous();
  }
}

/**
 * After a skipped endpoint it continues from the one picked, so that the skipped one's neighbour does not get its
 * turns.
 */
class RoundRobin implements Balancer {
  /** Starts at random: workers count separately and must not all start at the same endpoint. */
  #next: number | undefined;

  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined {
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

/** The endpoint with the fewest requests in flight; ties are broken at random. */
class LeastInFlight implements Balancer {
  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined {
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
      // Reservoir sampling: the n-th of n equals replaces the choice with probability 1/n.
      equals++;
      if (wanted.randomFraction() * equals < 1) least = endpoint;
    }
    return least;
  }
}

/**
 * The less loaded of two random endpoints ("power of two choices", Mitzenmacher 2001): nearly as even as comparing all,
 * without the herd effect of always picking the least loaded. Load is the number of requests in flight times the recent
 * latency, so an endpoint gets fewer requests as soon as it is slow, and none while its responses do not arrive.
 */
class PowerOfTwo implements Balancer {
  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined {
    const count = endpoints.length;
    const { nowMs, randomFraction } = wanted;
    const start = Math.floor(randomFraction() * count);
    const first = nextUsable(endpoints, start, wanted);
    if (first === undefined || count === 1) return first;
    const second = nextUsable(endpoints, start + 1 + Math.floor(randomFraction() * (count - 1)), wanted);
    return second !== undefined && second.loadAt(nowMs) < first.loadAt(nowMs) ? second : first;
  }
}

/**
 * Sends a requester to the same endpoint on every replica, by rendezvous hashing (Thaler and Ravishankar, "Using
 * name-based mappings to increase hit rates", 1998). An endpoint's score depends only on itself and the requester, and
 * the highest usable score wins. So a removed endpoint moves only its own requesters, and gets the same ones back on
 * return.
 */
class Rendezvous implements Balancer {
  readonly #withoutAffinity = new PowerOfTwo();

  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined {
    const { affinity } = wanted;
    if (affinity === undefined) return this.#withoutAffinity.pick(endpoints, wanted);
    let best: Endpoint | undefined;
    let bestScore = 0;
    for (const endpoint of endpoints) {
      const score = scoreOf(endpoint, affinity);
      if (score <= bestScore || !isUsable(endpoint, wanted)) continue;
      best = endpoint;
      bestScore = score;
    }
    return best;
  }
}

function scoreOf(endpoint: Endpoint, { hi, lo }: Affinity): number {
  return hashToFraction(hi, lo, endpoint.seed);
}

/**
 * Picks an unhealthy endpoint when none is available and no other version can serve. Health checks may be wrong, and an
 * endpoint that refused connections may be back: an attempt costs little, and ends the outage with the first request
 * after it. An ejected endpoint has failed real requests, so it is not tried.
 */
export function panicPick(
  endpoints: readonly Endpoint[],
  { nowMs, tried, randomFraction }: PickContext,
  attempt: "first" | "further",
): Endpoint | undefined {
  const closed = endpoints.filter(
    ({ health, inFlight, maxInFlight }) => !health.available(nowMs) && !health.isEjected && inFlight < maxInFlight,
  );
  const untried = closed.filter((endpoint) => !tried.includes(endpoint));
  const reachable = untried.filter(({ health }) => !health.isRefused);
  // Each attempt on a refusing endpoint may take the whole connect timeout, so make only one.
  const candidates = reachable.length === 0 && attempt === "first" ? untried : reachable;
  return candidates[Math.floor(randomFraction() * candidates.length)];
}
