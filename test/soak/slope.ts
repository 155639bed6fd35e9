export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * The median of the slopes between all pairs of points (Theil 1950, Sen 1968), which a few garbage collections do not
 * change.
 */
export function slopeOf(points: readonly Point[]): number {
  const slopes: number[] = [];
  for (const [index, a] of points.entries()) {
    for (const b of points.slice(index + 1)) if (b.x !== a.x) slopes.push((b.y - a.y) / (b.x - a.x));
  }
  slopes.sort((a, b) => a - b);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}
