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
      : new ParseError(`expected auto or 0 to ${maxConnections}, found ${quote(written)}`, "0 stands for no limit");
  },
  json: { anyOf: [{ type: "integer", minimum: 0, maximum: maxConnections }, { const: "auto" }] },
});

const count = (bounds: { readonly min: number; readonly max: number }) =>
  number({ what: "a count", integer: true, ...bounds });

/** What a client may take at most: of a request, of a connection, and of Perch as a whole. */
export const limitsSchema = object(
  {
    headers: defaulted("The header section's size.", size({ min: 1_024, max: 1_048_576 }), "32KiB"),
    headerCount: defaulted("How many headers.", count({ min: 1, max: 10_000 }), 100),
    uri: defaulted("The size of a request's target, path and query.", size({ min: 64, max: 1_048_576 }), "8KiB"),
    cookies: defaulted("How many cookies.", count({ min: 1, max: 10_000 }), 200),
    body: defaulted("The body's size; 0 for no limit.", size({ min: 0, max: Number.MAX_SAFE_INTEGER }), 0),
    streams: defaulted("How many requests one HTTP/2 connection may have open.", count({ min: 1, max: 10_000 }), 100),
    requestsPerConnection: defaulted(
      "How many requests one connection may bring; 0 for no limit. The last answer says that it closes.",
      count({ min: 0, max: 1_000_000_000 }),
      0,
    ),
    connections: defaulted(
      "How many connections a listener holds, in each worker; 0 for no limit. auto: by the limit on open files.",
      connections,
      "auto",
    ),
    connectionsPerAddress: defaulted(
      "How many of a listener's connections one client may have, in each worker; 0 for no limit. Not for trustedProxies.",
      count({ min: 0, max: maxConnections }),
      0,
    ),
    inFlight: defaulted(
      "How many requests are forwarded at a time, in each worker; 0 for no limit. Others get 503.",
      count({ min: 0, max: maxConnections }),
      0,
    ),
    loopDelay: optional(
      "How late the event loop may be before requests get 503. Default: however late.",
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
    requestsPerConnection: orNone(limits.requestsPerConnection),
    connections: limits.connections === "auto" ? "auto" : orNone(limits.connections),
    connectionsPerAddress: orNone(limits.connectionsPerAddress),
    inFlight: orNone(limits.inFlight),
    loopDelayMs: limits.loopDelay ?? Number.POSITIVE_INFINITY,
  };
}

const orNone = (limit: number): number => (limit === 0 ? Number.POSITIVE_INFINITY : limit);
