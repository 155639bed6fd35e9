import type { Service } from "./snapshot.ts";

export type Lane = "fast" | "standard";

/**
 * Which lane serves a route, decided once for each snapshot: the standard lane can do everything, the fast lane speaks to
 * plain endpoints only.
 */
export function laneOf(service: Service): Lane {
  return isPlain(service) ? "fast" : "standard";
}

function isPlain({ versions }: Service): boolean {
  return [...versions.values()].every(({ endpoints }) => endpoints.every(({ origin }) => origin.startsWith("http:")));
}
