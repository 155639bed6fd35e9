import type { RolloutBody } from "../../../admin/rollout-body.ts";

export type Check = RolloutBody["checks"][number];

/** Bad users by version, and what that says. */
export interface Comparison {
  readonly bad: number;
  readonly badOnCandidate: number;
  /** If the candidate were no worse, this would be seen in less than one of so many rollouts; undefined: in many. */
  readonly oneIn: number | undefined;
}

/**
 * What a check that compares both versions has seen; undefined for any other, and while no user met a bad answer.
 *
 * Its evidence reaches E with a probability of at most 1/E if the candidate is no worse, however often one looks
 * (Ville's inequality).
 */
export function comparisonOf({ metric, baseline, candidate, evidence }: Check): Comparison | undefined {
  if ((metric !== "errors" && metric !== "slow") || baseline === null || candidate === null || evidence === null)
    return undefined;
  const bad = baseline.bad + candidate.bad;
  if (bad === 0) return undefined;
  return {
    bad,
    badOnCandidate: candidate.bad,
    oneIn: evidence >= 2 ? evidence : undefined,
  };
}

/** Whether the evidence is an e-value, of which 1 says nothing and each factor as much as the one before. */
export function isEValue({ metric, evidence }: Check): boolean {
  return evidence !== null && (metric === "errors" || metric === "slow" || metric === "drift");
}

/** How far the evidence is on its way to the limit, 0 to 1; undefined where that is no question. */
export function progressOf(check: Check): number | undefined {
  const { metric, evidence, limit } = check;
  if (evidence === null || limit === null || !(limit > 0)) return undefined;
  if (isEValue(check)) return limit > 1 ? clamped(Math.log(Math.max(1, evidence)) / Math.log(limit)) : undefined;
  return metric === "cap" || metric === "catastrophe" ? clamped(evidence / limit) : undefined;
}

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

const raised = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A whole power of ten that the value reaches: `10¹²`. */
export function powerOfTen(value: number): string {
  // The logarithm of a power may be a hair below the whole number.
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  return `10${[...String(exponent)].map((digit) => raised[Number(digit)]).join("")}`;
}
