/**
 * The parts with which something does not work, with what is wrong: those that are bad alone, and of others that do not
 * work together the later ones. The rest works if nothing does. Few parts are bad, and a try takes time, so they are
 * halved. `problemWith`: the first problem of these, in their order; undefined if there is none.
 */
export function culpritsIn<T>(
  all: readonly T[],
  problemWith: (some: readonly T[]) => string | undefined,
): ReadonlyMap<T, string> {
  const problems = new Map<T, string>();
  if (areFine(all)) return problems;
  const others = all.filter((one) => !problems.has(one));
  if (problems.size === 0 || problemWith(others) !== undefined) {
    const [first, second] = halvesOf(others);
    withMore(withMore([], first), second);
  }
  return problems;

  /** Finds the ones that are bad alone; false if it has tried and failed. */
  function areFine(some: readonly T[]): boolean {
    const problem = some.length === 0 ? undefined : problemWith(some);
    if (problem === undefined) return true;
    const [only, ...more] = some;
    if (only !== undefined && more.length === 0) problems.set(only, problem);
    else for (const half of halvesOf(some)) areFine(half);
    return false;
  }

  /** What works, and of `more` all that works with it. */
  function withMore(kept: readonly T[], more: readonly T[]): readonly T[] {
    const together = [...kept, ...more];
    const problem = more.length === 0 ? undefined : problemWith(together);
    if (problem === undefined) return together;
    const [only, ...others] = more;
    if (only !== undefined && others.length === 0) {
      problems.set(only, problem);
      return kept;
    }
    const [first, second] = halvesOf(more);
    return withMore(withMore(kept, first), second);
  }
}

function halvesOf<T>(some: readonly T[]): readonly [first: readonly T[], second: readonly T[]] {
  const half = Math.ceil(some.length / 2);
  return [some.slice(0, half), some.slice(half)];
}
