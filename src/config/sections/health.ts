import type { HealthSpec, ProbeSpec } from "../../upstream/service-spec.ts";
import { headerName } from "../scalars.ts";
import { mapOf, oneOrMore } from "../schema-kit/collections.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { duration, number, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const day = 86_400_000;

const checks = number({ what: "a number of checks", min: 1, max: 100, integer: true });

const statusRange: Schema<{ readonly from: number; readonly to: number }> = scalar({
  what: "a status or a range such as 200-399",
  parse(written) {
    const [, from, to = from] = /^([2-5]\d\d)(?:-([2-5]\d\d))?$/.exec(written) ?? [];
    if (from === undefined) {
      return new ParseError(`${quote(written)} is not a status or a range of them`, "write it as in 204 or 200-399");
    }
    return from <= `${to}`
      ? { from: Number(from), to: Number(to) }
      : new ParseError(`${written} ends before it begins`);
  },
  json: {
    anyOf: [
      { type: "integer", minimum: 200, maximum: 599 },
      { type: "string", pattern: "^[2-5]\\d\\d(?:-[2-5]\\d\\d)?$" },
    ],
  },
});

/** An empty text stands for the whole server. */
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
  rule: "it must begin with /; percent-encode # and all but visible ASCII",
  maxLength: 2_048,
});

export const healthSchema = object(
  {
    path: optional("Asked for by GET; a query may follow.", checkPath),
    tcp: optional("Whether a connection can be made is all that is asked.", oneOf(["true"])),
    grpc: optional("Asked by grpc.health.v1: true for the whole server, or the name of a service.", grpcService),
    interval: defaulted(
      "From the start of one check to the next, a tenth more or less.",
      duration({ minMs: 100, maxMs: day }),
      "5s",
    ),
    timeout: optional(
      "For the answer. Default: 2s, and no longer than the interval.",
      duration({ minMs: 1, maxMs: day }),
    ),
    healthyAfter: defaulted("Checks in a row that must pass until it is up again.", checks, 2),
    unhealthyAfter: defaulted("Checks in a row that must fail until it is out.", checks, 3),
    statuses: defaulted("With path: what is well.", oneOrMore(statusRange, "statuses"), ["200-399"]),
    headers: defaulted(
      "With path: fields sent along; host replaces the endpoint's own.",
      mapOf(
        headerName,
        text({ maxLength: 4_096, pattern: /^[\t\x20-\x7e]*$/, what: "a field's value", rule: "ASCII only" }),
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

const defaultTimeoutMs = 2_000;

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

function compileProbe({ path, grpc, statuses, headers }: HealthConfig): ProbeSpec {
  if (path !== undefined) return { kind: "http", path, headers, statuses };
  return grpc === undefined ? { kind: "tcp" } : { kind: "grpc", service: grpc };
}
