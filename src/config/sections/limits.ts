import type { Limits } from "../compiled-config.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { duration, number, ParseError, scalar, size } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const maxConnections = 10_000_000;

const connections: Schema<number | "auto"> = scalar({
  what: "a count of connections",
  parse(written) {
    if (written === "auto") return "auto";
    const count = /^(?:0|[1-9]\d{0,7})$/.test(written) ? Number(written) : Number.NaN;
    return count <= maxConnections
      ? count
      : new ParseError(`expected auto or 0 to ${maxConnections}, found ${quote(written)}`, "0 means no limit");
  },
  json: { anyOf: [{ type: "integer", minimum: 0, maximum: maxConnections }, { const: "auto" }] },
});

const count = (bounds: { readonly min: number; readonly max: number }) =>
  number({ what: "a count", integer: true, ...bounds });

/** Limits on a request, a connection, and Perch as a whole. */
export const limitsSchema = object(
  {
    headers: defaulted("Maximum size of the request headers.", size({ min: 1_024, max: 1_048_576 }), "32KiB"),
    headerCount: defaulted("Maximum number of headers.", count({ min: 1, max: 10_000 }), 100),
    uri: defaulted("Maximum size of the request target (path and query).", size({ min: 64, max: 1_048_576 }), "8KiB"),
    cookies: defaulted("Maximum number of cookies.", count({ min: 1, max: 10_000 }), 200),
    body: defaulted(
      "Maximum size of the request body; 0 means no limit.",
      size({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      0,
    ),
    streams: defaulted(
      "Maximum number of concurrent requests per HTTP/2 connection.",
      count({ min: 1, max: 10_000 }),
      100,
    ),
    requestsPerConnection: defaulted(
      "Maximum number of requests per connection; 0 means no limit. The last response announces the close.",
      count({ min: 0, max: 1_000_000_000 }),
      0,
    ),
    connections: defaulted(
      "Maximum number of connections per listener and worker; 0 means no limit. auto: derived from the limit on open files.",
      connections,
      "auto",
    ),
    connectionsPerAddress: defaulted(
      "Maximum number of connections per client address, listener and worker; 0 means no limit. Does not apply to trustedProxies.",
      count({ min: 0, max: maxConnections }),
      0,
    ),
    inFlight: defaulted(
      "Maximum number of concurrently forwarded requests per worker; 0 means no limit. Requests above it get 503.",
      count({ min: 0, max: maxConnections }),
      0,
    ),
    loopDelay: optional(
      "The event loop delay above which requests get 503. Default: no limit.",
      duration({ minMs: 20, maxMs: 60_000 }),
    ),
  },
  { what: "limits" },
);

export type LimitsConfig = Infer<typeof limitsSchema>;

export function compileLimits(limits: LimitsConfig): Limits {
  return {
    headerBytes: limits.headers,
    headerCount: limits.headerCount,
    uriBytes: limits.uri,
    cookies: limits.cookies,
    bodyBytes: limits.body,
    streams: limits.streams,
    requestsPerConnection: orInfinity(limits.requestsPerConnection),
    connections: limits.connections === "auto" ? "auto" : orInfinity(limits.connections),
    connectionsPerAddress: orInfinity(limits.connectionsPerAddress),
    inFlight: orInfinity(limits.inFlight),
    loopDelayMs: limits.loopDelay ?? Number.POSITIVE_INFINITY,
  };
}

const orInfinity = (limit: number): number => (limit === 0 ? Number.POSITIVE_INFINITY : limit);
