/** The relevant durations: below, an upstream answered from memory; above, users have given up. */
const smallestMs = 0.1;
const largestMs = 600_000;
/** A quantile's upper bound is at most this much above the duration itself. */
const growth = 1.03;

/** Inclusive upper bounds; the last bucket has none. */
const bounds = Float64Array.from(
  { length: Math.ceil(Math.log(largestMs / smallestMs) / Math.log(growth)) + 1 },
  (_, bucket) => smallestMs * growth ** bucket,
);

/** How many buckets there are: the first up to 0.1 ms, each next one 3 % wider, the last for more than ten minutes. */
export const bucketCount: number = bounds.length + 1;

/** The bucket of a duration in milliseconds, from 0. A negative or NaN duration is in the first. */
export function durationBucketOf(ms: number): number {
  if (!(ms > smallestMs)) return 0;
  if (ms > largestMs * growth) return bounds.length;
  let bucket = Math.max(0, Math.floor(Math.log(ms / smallestMs) / Math.log(growth)));
  // Rounding may be off by one bucket, and a bound must not be below what it bounds.
  while (bucket < bounds.length && (bounds[bucket] ?? Number.POSITIVE_INFINITY) < ms) bucket += 1;
  return bucket;
}

/**
 * The upper bound, in milliseconds, of the quantile `q` (0 to 1) of durations counted by bucket: at most 3 % above the
 * quantile where that is over 0.1 ms. `Infinity` if nothing was counted, or beyond the last bound.
 */
export function quantileOf(counts: readonly number[], q: number): number {
  let left = Math.max(1, Math.ceil(q * counts.reduce((sum, count) => sum + count, 0)));
  for (const [bucket, count] of counts.entries()) {
    left -= count;
    if (left <= 0) return bounds[bucket] ?? Number.POSITIVE_INFINITY;
  }
  return Number.POSITIVE_INFINITY;
}
