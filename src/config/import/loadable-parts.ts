import type { Draft, DraftParts, DraftRoute } from "./draft.ts";
import { keptRoutes, partsOf } from "./usable-parts.ts";

/**
 * The parts without the routes that do not load. Some problems only show when a configuration is compiled, such as a
 * path that no request can have. `problemIn` loads a configuration, and returns its first problem.
 */
export function loadableParts(
  parts: DraftParts,
  draft: Draft,
  problemIn: (parts: DraftParts) => string | undefined,
): DraftParts {
  const problems = new Map<DraftRoute, string>();
  search(parts.routes);
  return partsOf(
    parts,
    keptRoutes(parts.routes, draft, (route) => problems.get(route)),
  );

  /** Halves the routes until those with a problem are alone: few have one, and loading takes time. */
  function search(routes: readonly DraftRoute[]): void {
    const problem = problemIn(partsOf(parts, routes));
    const [first] = routes;
    if (problem === undefined || first === undefined) return;
    if (routes.length === 1) problems.set(first, problem);
    else {
      const half = Math.ceil(routes.length / 2);
      search(routes.slice(0, half));
      search(routes.slice(half));
    }
  }
}
