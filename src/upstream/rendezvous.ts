import { hashToFraction } from "../decide/hash.ts";
import { type Affinity, type Balancer, isUsable, type Wanted } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";
import { PowerOfTwo } from "./power-of-two.ts";

/**
 * The same requester meets the same endpoint, here and on every replica: rendezvous hashing (Thaler and Ravishankar,
 * "Using name-based mappings to increase hit rates", 1998). Each endpoint has a score of its own for each requester, and
 * the highest usable one answers; so one that goes away moves its own requesters only, each to the next best, and takes
 * back the same when it returns.
 */
export class Rendezvous implements Balancer {
  readonly #unknown = new PowerOfTwo();

  pick(endpoints: readonly Endpoint[], wanted: Wanted): Endpoint | undefined {
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
