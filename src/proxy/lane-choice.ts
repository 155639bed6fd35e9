import type { ServiceSpec } from "../upstream/service-spec.ts";

export type Lane = "fast" | "standard";

/**
 * Which lane serves a route, decided once for each snapshot: the standard lane can do everything, the fast lane speaks to
 * plain endpoints only.
 */
export function laneOf(service: ServiceSpec): Lane {
  return isPlain(service) ? "fast" : "standard";
}

function isPlain({ versions }: ServiceSpec): boolean {
  return versions.every(({ endpoints }) => endpoints.every(({ address }) => address.scheme === "http"));
}
