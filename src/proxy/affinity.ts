import type { Decision } from "../decide/decision.ts";
import { attributeUnit } from "../decide/unit.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import type { Affinity } from "../upstream/balancer.ts";

/**
 * Who asks, for `balance: hash`: the unit that the release decided for, so that one who is kept on a version is kept on an
 * endpoint of it; where there is none, the client's address. Undefined where that is not known either.
 */
export function affinityOf(decision: Decision | undefined, { clientAddress }: RequestFacts): Affinity | undefined {
  // Only an explanation looks for the unit of these.
  const unit = decision?.reason === "override" || decision?.reason === "propagated" ? undefined : decision?.unit;
  return unit ?? (clientAddress && attributeUnit(clientAddress));
}
