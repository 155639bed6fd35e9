import type { QuantileBody } from "../admin/live/live-bodies.ts";

/** A figure with the ends of its 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Of the normal distribution, for 95 % between both ends. */
const z = 1.959963984540054;

/** How candidate and baseline differ in a figure that is better the lower it is. */
export type Reading = "worse" | "better" | "none-seen";

/**
 * A share with Wilson's score interval, which holds for few and for rare events as well. Undefined without requests.
 *
 * Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
 */
export function shareEstimate(part: number, all: number): Estimate | undefined {
  if (all <= 0) return undefined;
  const value = part / all;
  const scale = 1 + (z * z) / all;
  const middle = (value + (z * z) / (2 * all)) / scale;
  const half = (z * Math.sqrt((value * (1 - value)) / all + (z * z) / (4 * all * all))) / scale;
  // At either end the interval reaches it exactly; rounding must not leave it out.
  return { value, low: part === 0 ? 0 : middle - half, high: part === all ? 1 : middle + half };
}

export function quantileEstimate(quantile: QuantileBody | null | undefined): Estimate | undefined {
  if (quantile == null) return undefined;
  const [value, low, high] = quantile;
  return { value, low, high };
}

/**
 * The first less the second, of independent estimates, from the interval of each (MOVER). For Wilson's intervals it is
 * Newcombe's method 10.
 *
 * Sources: Zou, Donner, Construction of confidence limits about effect measures (2008); Newcombe, Interval estimation for
 * the difference between independent proportions (1998).
 */
export function differenceEstimate(first: Estimate | undefined, second: Estimate | undefined): Estimate | undefined {
  if (first === undefined || second === undefined) return undefined;
  const value = first.value - second.value;
  return {
    value,
    low: value - Math.hypot(first.value - first.low, second.high - second.value),
    high: value + Math.hypot(first.high - first.value, second.value - second.low),
  };
}

/** Of the candidate's figure less the baseline's. */
export function readingOf({ low, high }: Estimate): Reading {
  if (low > 0) return "worse";
  return high < 0 ? "better" : "none-seen";
}
