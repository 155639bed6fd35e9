import {
  balances,
  describeSpec,
  type ServiceSpec,
  schemeOf,
  type UpstreamTls,
  upstreamProtocols,
  type VersionSpec,
} from "../../upstream/service-spec.ts";
import type { CompileContext } from "../compile-context.ts";
import { resourceName } from "../scalars.ts";
import { type Entry, list, mapOf } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { boolean, duration, oneOf } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { endpoint } from "./endpoint.ts";
import { headerEditsSchema } from "./header-edits.ts";
import { compileHealth, healthSchema } from "./health.ts";
import {
  compileLimits,
  compileOutlier,
  compileRetries,
  limitsSchema,
  outlierSchema,
  retriesSchema,
} from "./resilience.ts";
import { compileUpstreamTls, upstreamTlsSchema } from "./upstream-tls.ts";

/** The longest a timer can run is 2^31 - 1 milliseconds, 24 days and some hours. */
export const timeout: Schema<number> = duration({ minMs: 1, maxMs: 24 * 86_400_000 });

const version = object(
  {
    endpoints: required("Addresses that serve the version.", list(endpoint, { of: "endpoints", min: 1 }), []),
    requestHeaders: optional(
      "What is done to the header of requests that this version serves, after what their route does.",
      headerEditsSchema,
    ),
    responseHeaders: optional(
      "What is done to the header of responses of this version, after what their route does.",
      headerEditsSchema,
    ),
  },
  { what: "a version" },
);

const timeouts = object(
  {
    connect: defaulted("For a connection to stand.", timeout, "2s"),
    responseHeaders: defaulted("From the end of the request to the response's head.", timeout, "30s"),
    idle: defaulted("Between two pieces of a body, either way.", timeout, "60s"),
    total: optional("For the whole request, from its first byte to the answer's last. Default: no limit.", timeout),
  },
  { what: "timeouts" },
);

/** What clients call: its versions, and how they are reached. */
export const serviceSchema = object(
  {
    default: optional("The version for requests that no release decides. Default: the first.", resourceName),
    versions: required(
      "The service's versions, by name.",
      mapOf(resourceName, version, { of: "versions", min: 1 }),
      [],
    ),
    balance: defaulted(
      "How a version's endpoints share its requests: p2c, the less loaded of two; hash, the same requester always meets the same.",
      oneOf(balances),
      "p2c",
    ),
    protocol: defaulted(
      "What the endpoints speak: http1, or http2 as gRPC needs it (https by ALPN, http with prior knowledge).",
      oneOf(upstreamProtocols),
      "http1",
    ),
    timeouts: defaulted("How long to wait for an endpoint.", timeouts, {}),
    tls: optional("How endpoints with https are known, and what they are shown.", upstreamTlsSchema),
    external: defaulted("Whether others run it: then it is not told which version was assigned.", boolean(), false),
    health: optional("How endpoints are checked. Default: not at all.", healthSchema),
    outlier: optional("When an endpoint is taken out for its answers. Default: never.", outlierSchema),
    retries: optional(
      "What is tried again. Default: refused endpoints, and once what was reset under an idempotent method.",
      retriesSchema,
    ),
    limits: optional("What each version is given at a time. Default: everything.", limitsSchema),
  },
  { what: "a service" },
);

export type ServiceConfig = Infer<typeof serviceSchema>;

export function compileService({ name, value }: Entry<ServiceConfig>, context: CompileContext): ServiceSpec {
  const { parsing } = context;
  const known = parsing.namesIn(value, "versions");
  if (value.default !== undefined && known?.has(value.default) === false) {
    parsing.unknownName(parsing.spanOf(value, "default"), "version", value.default, known);
  }
  const versions = value.versions.map((version): VersionSpec => {
    const endpoints = new Map(version.value.endpoints.map((endpoint) => [describeSpec(endpoint), endpoint]));
    if (endpoints.size < version.value.endpoints.length) {
      const span = parsing.spanOf(version.value, "endpoints");
      parsing.warn(span, "risky", `version ${version.name} of service ${name} lists an endpoint twice; it counts once`);
    }
    return { name: version.name, endpoints: [...endpoints.values()] };
  });
  if (value.protocol === "http2" && value.limits?.maxConnections !== undefined) {
    const message = "maxConnections is for HTTP/1.1, where a connection carries one request at a time";
    const span = parsing.spanOf(value.limits, "maxConnections");
    parsing.error(span, "conflicting-keys", message, "limit maxInFlight instead");
  }
  const tls = compileTls(name, value, versions, context);
  return {
    name,
    defaultVersion: value.default ?? versions[0]?.name ?? "",
    versions,
    balance: value.balance,
    protocol: value.protocol,
    timeouts: {
      connectMs: value.timeouts.connect,
      responseHeadersMs: value.timeouts.responseHeaders,
      idleMs: value.timeouts.idle,
      totalMs: value.timeouts.total ?? 0,
    },
    tls,
    external: value.external,
    health: value.health && compileHealth(value.health, { protocol: value.protocol, tls }),
    outlier: value.outlier && compileOutlier(value.outlier),
    retries: value.retries && compileRetries(value.retries),
    limits: value.limits && compileLimits(value.limits),
  };
}

function compileTls(
  name: string,
  { tls }: ServiceConfig,
  versions: readonly VersionSpec[],
  context: CompileContext,
): UpstreamTls | undefined {
  if (tls === undefined) return undefined;
  if (!versions.some(({ endpoints }) => endpoints.some((endpoint) => schemeOf(endpoint) === "https"))) {
    const span = context.parsing.keySpanOf(tls);
    context.parsing.warn(span, "unused", `service ${name} has no endpoint with https, so its tls is for nothing`);
  }
  return compileUpstreamTls(name, tls, context);
}
