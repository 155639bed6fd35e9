/** The beginning and the end of a long trail: what matched stands at the end. */
export function foldedTrail<T>(trail: readonly T[]): {
  readonly first: readonly T[];
  readonly hidden: readonly T[];
  readonly last: readonly T[];
} {
  if (trail.length <= maxSteps) return { first: trail, hidden: [], last: [] };
  return {
    first: trail.slice(0, firstSteps),
    hidden: trail.slice(firstSteps, -lastSteps),
    last: trail.slice(-lastSteps),
  };
}

const maxSteps = 100;
const firstSteps = 40;
const lastSteps = 60;
