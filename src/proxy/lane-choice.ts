import { type ServiceSpec, schemeOf } from "../upstream/service-spec.ts";

export type Lane = "fast" | "standard";

/**
 * Which lane serves a route, decided once for each snapshot: the standard lane can do everything, the fast lane speaks
 * HTTP/1.1 to plain endpoints only.
 */
export function laneOf(service: ServiceSpec): Lane {
  return isPlain(service) ? "fast" : "standard";
}

function isPlain({ protocol, versions }: ServiceSpec): boolean {
  return (
    protocol === "http1" &&
    versions.every(({ endpoints }) => endpoints.every((endpoint) => schemeOf(endpoint) === "http"))
  );
}
