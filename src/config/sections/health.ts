import type { HealthSpec, ProbeSpec } from "../../upstream/service-spec.ts";
import { headerName } from "../scalars.ts";
import { mapOf, oneOrMore } from "../schema-kit/collections.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { duration, number, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const day = 86_400_000;

const checkCount = number({ what: "a number of checks", min: 1, max: 100, integer: true });

const statusRange: Schema<{ readonly from: number; readonly to: number }> = scalar({
  what: "a status or a range such as 200-399",
  parse(written) {
    const [, from, to = from] = /^([2-5]\d\d)(?:-([2-5]\d\d))?$/.exec(written) ?? [];
    if (from === undefined) {
      return new ParseError(
        `${quote(written)} is not a status or a range of statuses`,
        "write it as in 204 or 200-399",
      );
    }
    // Both have three digits, so strings compare like numbers.
    return from <= `${to}`
      ? { from: Number(from), to: Number(to) }
      : new ParseError(`${written} ends before it starts`);
  },
  json: {
    anyOf: [
      { type: "integer", minimum: 200, maximum: 599 },
      { type: "string", pattern: "^[2-5]\\d\\d(?:-[2-5]\\d\\d)?$" },
    ],
  },
});

/** An empty string means the whole server (grpc.health.v1). */
const grpcService: Schema<string> = scalar({
  what: "true or the name of a gRPC service",
  parse(written) {
    if (written === "true") return "";
    const good = /^[A-Za-z_][A-Za-z0-9_.]{0,255}$/.test(written) && written !== "false";
    return good ? written : new ParseError(`expected true or the name of a gRPC service, found ${quote(written)}`);
  },
  json: { anyOf: [{ const: true }, { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_.]{0,255}$" }] },
});

const checkPath = text({
  what: "a path",
  pattern: /^\/[!-"$-~]*$/,
  rule: "it must start with /; percent-encode # and everything but visible ASCII",
  maxLength: 2_048,
});

export const healthSchema = object(
  {
    path: optional("HTTP check: the path of a GET request, optionally with a query.", checkPath),
    tcp: optional("TCP check: whether a connection can be opened.", oneOf(["true"])),
    grpc: optional("gRPC check by grpc.health.v1: true for the whole server, or the name of a service.", grpcService),
    interval: defaulted(
      "Time from the start of one check to the next, with a jitter of 10 %.",
      duration({ minMs: 100, maxMs: day }),
      "5s",
    ),
    timeout: optional(
      "Time limit of a check. Default: 2s, but at most the interval.",
      duration({ minMs: 1, maxMs: day }),
    ),
    healthyAfter: defaulted("Consecutive passed checks until an endpoint is healthy again.", checkCount, 2),
    unhealthyAfter: defaulted("Consecutive failed checks until an endpoint is unhealthy.", checkCount, 3),
    statuses: defaulted("With path: the statuses that pass.", oneOrMore(statusRange, "statuses"), ["200-399"]),
    headers: defaulted(
      "With path: additional request headers; host replaces the endpoint's own.",
      mapOf(
        headerName,
        text({ maxLength: 4_096, pattern: /^[\t\x20-\x7e]*$/, what: "a header value", rule: "ASCII only" }),
        {
          of: "headers",
        },
      ),
      {},
    ),
  },
  { what: "health", exactlyOneOf: ["path", "tcp", "grpc"] },
);

export type HealthConfig = Infer<typeof healthSchema>;

export function compileHealth(config: HealthConfig, way: Pick<HealthSpec, "protocol" | "tls">): HealthSpec {
  const { interval, timeout, healthyAfter, unhealthyAfter } = config;
  return {
    probe: compileProbe(config),
    ...way,
    intervalMs: interval,
    timeoutMs: timeout ?? Math.min(defaultTimeoutMs, interval),
    healthyAfter,
    unhealthyAfter,
  };
}

const defaultTimeoutMs = 2_000;

function compileProbe({ path, grpc, statuses, headers }: HealthConfig): ProbeSpec {
  if (path !== undefined) return { kind: "http", path, headers, statuses };
  return grpc === undefined ? { kind: "tcp" } : { kind: "grpc", service: grpc };
}
