import { culpritsIn } from "./culprits.ts";
import type { Draft, DraftParts, DraftRoute } from "./draft.ts";
import { partsOf, withoutRoutes } from "./usable-parts.ts";

/**
 * The parts without the routes that do not load. Some problems only show when a configuration is compiled, such as a
 * path that no request can have. `problemIn` loads a configuration, and returns its first problem.
 */
export function loadableParts(
  parts: DraftParts,
  draft: Draft,
  problemIn: (parts: DraftParts) => string | undefined,
): DraftParts {
  return withoutRoutes(parts, problemsOfRoutes(parts, parts.routes, problemIn), draft);
}

/** Which routes do not load, and why. Of some that do not load together, the first in `routes` does. */
export function problemsOfRoutes(
  parts: DraftParts,
  routes: readonly DraftRoute[],
  problemIn: (parts: DraftParts) => string | undefined,
): ReadonlyMap<DraftRoute, string> {
  return culpritsIn(routes, (some) => problemIn(partsOf(parts, some)));
}
