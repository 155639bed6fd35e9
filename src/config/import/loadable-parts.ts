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
  const services = new Map(parts.services.map((service) => [service.name, service]));
  const releases = new Map(parts.releases.map((release) => [release.name, release]));
  const problemOf = (route: DraftRoute) => {
    const service = services.get(route.service ?? "");
    const release = releases.get(route.release ?? "");
    return problemIn({
      ...parts,
      services: service === undefined ? [] : [service],
      releases: release === undefined ? [] : [release],
      routes: [route],
    });
  };
  return partsOf(parts, keptRoutes(parts.routes, draft, problemOf));
}
