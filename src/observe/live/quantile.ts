import { bucketBounds } from "../histogram.ts";
import type { QuantileBody } from "./traffic-bodies.ts";

/** Bucket n lies between the edges n and n + 1. What is above all bounds is shown as the last bound. */
const edgesMs: readonly number[] = [0, ...bucketBounds.map((seconds) => seconds * 1_000)];

/** Of the normal distribution, for an interval of 95 %. */
const standardErrors = 1.96;

/** The quantile `q` (0 to 1) of the durations counted by bucket, in milliseconds. Null if none was counted. */
export function quantileOf(buckets: ArrayLike<number>, q: number): number | null {
  const count = sumOf(buckets);
  return count === 0 ? null : durationAt(buckets, count * q);
}

/**
 * The quantile with an interval in which it lies with a probability of 95 %, whatever the durations' distribution: by
 * order statistics, since the number of durations below the quantile is binomial.
 */
export function quantileWithInterval(buckets: ArrayLike<number>, q: number): QuantileBody | null {
  const count = sumOf(buckets);
  if (count === 0) return null;
  const rank = count * q;
  const error = standardErrors * Math.sqrt(count * q * (1 - q));
  const [low, high] = [Math.max(0, rank - error), Math.min(count, rank + error)];
  return [durationAt(buckets, rank), durationAt(buckets, low), durationAt(buckets, high)];
}

/** The duration that has this many others below it, where the durations of a bucket are spread evenly over it. */
function durationAt(buckets: ArrayLike<number>, rank: number): number {
  let below = 0;
  let largest = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const count = buckets[bucket] ?? 0;
    if (count === 0) continue;
    const low = edgesMs[bucket] ?? 0;
    const high = edgesMs[bucket + 1] ?? low;
    if (below + count >= rank) return toMicroseconds(low + ((high - low) * (rank - below)) / count);
    below += count;
    largest = high;
  }
  return largest;
}

function sumOf(buckets: ArrayLike<number>): number {
  let sum = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) sum += buckets[bucket] ?? 0;
  return sum;
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
