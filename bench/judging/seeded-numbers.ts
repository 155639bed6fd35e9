/** Numbers in [0, 1) that are the same in each run (splitmix32). */
export function seededNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    const high = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    const low = Math.imul(high ^ (high >>> 15), 0x735a2d97);
    return ((low ^ (low >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A seed of its own for each thing that is drawn at random. */
export function seedOf(...parts: readonly number[]): number {
  return parts.reduce((seed, part) => Math.imul(seed ^ part, 0x85ebca6b) ^ (seed >>> 13), 0x2545f491);
}
