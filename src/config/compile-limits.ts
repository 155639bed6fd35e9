import type { Limits } from "./compiled-config.ts";
import type { LimitsConfig } from "./limits-schema.ts";

export function compileLimits(limits: LimitsConfig): Limits {
  return {
    headerBytes: limits.headers,
    headerCount: limits.headerCount,
    uriBytes: limits.uri,
    cookies: limits.cookies,
    bodyBytes: limits.body,
    streams: limits.streams,
    requestsPerConnection: orNone(limits.requestsPerConnection),
    connections: limits.connections === "auto" ? "auto" : orNone(limits.connections),
    connectionsPerAddress: orNone(limits.connectionsPerAddress),
    inFlight: orNone(limits.inFlight),
    loopDelayMs: limits.loopDelay ?? Number.POSITIVE_INFINITY,
  };
}

const orNone = (limit: number): number => (limit === 0 ? Number.POSITIVE_INFINITY : limit);
