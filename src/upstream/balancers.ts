import { hashToFraction } from "../decide/hash.ts";
import type { RandomFraction } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Balance } from "./service-spec.ts";

/** Who asks, as 64 bits: what `hash` goes by. */
export interface Affinity {
  readonly hi: number;
  readonly lo: number;
}

/** The request that an endpoint is wanted for. */
export interface PickContext {
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
  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined;
}

/** What all balancers pass over. */
function isUsable(endpoint: Endpoint | undefined, { nowMs, tried }: PickContext): endpoint is Endpoint {
  return endpoint?.available(nowMs) === true && !tried.includes(endpoint);
}

/** The first usable endpoint from `start` on, wrapping round. */
export function nextUsable(endpoints: readonly Endpoint[], start: number, wanted: PickContext): Endpoint | undefined {
  for (let offset = 0; offset < endpoints.length; offset++) {
    const endpoint = endpoints[(start + offset) % endpoints.length];
    if (isUsable(endpoint, wanted)) return endpoint;
  }
  return undefined;
}

/** The configuration's words for how a version's endpoints share its requests. */
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

/** One after the other. Whoever follows an endpoint that is passed over does not get its turns: the count goes on there. */
class RoundRobin implements Balancer {
  /** Begins anywhere: several workers, each with a count of its own, must not all begin at the same endpoint. */
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

/** The endpoint with the fewest requests in flight; among equals each is as likely as the other. */
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
      // The n-th of n equals takes the place of those before it one time in n: all end up with the same chance.
      equals++;
      if (wanted.randomFraction() * equals < 1) least = endpoint;
    }
    return least;
  }
}

/**
 * Of two endpoints drawn at random the less loaded ("power of two choices", Mitzenmacher 2001): near the evenness of
 * asking all, without the herd that always picking the least loaded one makes. Load is what is in flight times the
 * recent latency, so a slow endpoint gets less as soon as it is slow, and a dead one whose answers do not come, nothing.
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
 * The same requester meets the same endpoint, here and on every replica: rendezvous hashing (Thaler and Ravishankar,
 * "Using name-based mappings to increase hit rates", 1998). Each endpoint has a score of its own for each requester, and
 * the highest usable one answers; so one that goes away moves its own requesters only, each to the next best, and takes
 * back the same when it returns.
 */
class Rendezvous implements Balancer {
  readonly #unknown = new PowerOfTwo();

  pick(endpoints: readonly Endpoint[], wanted: PickContext): Endpoint | undefined {
    const { affinity } = wanted;
    if (affinity === undefined) return this.#unknown.pick(endpoints, wanted);
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
 * Whom to ask where no endpoint is fit and no other version can serve. Checks may be wrong, and an endpoint that refused may
 * be back: asking costs nothing, and ends the outage with the first request after it. One that was ejected answered badly to
 * real requests, so it is believed.
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
  // Each that refuses may take the whole connect timeout: one of them is enough.
  const candidates = reachable.length === 0 && attempt === "first" ? untried : reachable;
  return candidates[Math.floor(randomFraction() * candidates.length)];
}
