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
import { resourceName, rolloutWord } from "../scalars.ts";
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
  compileResponseHead,
  compileRetries,
  compileReuse,
  limitsSchema,
  outlierSchema,
  retriesSchema,
} from "./resilience.ts";
import { compileUpstreamTls, upstreamTlsSchema } from "./upstream-tls.ts";

/** Timers of Node run for at most 2^31 - 1 milliseconds, about 24.8 days. */
export const maxTimeoutMs: number = 24 * 86_400_000;

export const timeout: Schema<number> = duration({ minMs: 1, maxMs: maxTimeoutMs });

const version = object(
  {
    endpoints: required("The addresses of the version.", list(endpoint, { of: "endpoints", min: 1 }), []),
    requestHeaders: optional(
      "Edits of the request headers for this version, after those of the route.",
      headerEditsSchema,
    ),
    responseHeaders: optional(
      "Edits of the response headers of this version, after those of the route.",
      headerEditsSchema,
    ),
  },
  { what: "a version" },
);

const timeouts = object(
  {
    connect: defaulted("Time to open a connection.", timeout, "2s"),
    responseHeaders: defaulted("Time from the end of the request to the response headers.", timeout, "30s"),
    idle: defaulted("Maximum gap between two chunks of a body, in either direction.", timeout, "60s"),
    total: optional(
      "Time from the first byte of the request to the last byte of the response. Default: no limit.",
      timeout,
    ),
    keepAlive: defaulted(
      "How long an idle connection to an endpoint is kept. Set it shorter than the endpoint's own time.",
      timeout,
      "30s",
    ),
  },
  { what: "timeouts" },
);

export const serviceSchema = object(
  {
    default: optional("The version for requests without a release's decision. Default: the first.", resourceName),
    versions: required(
      "The service's versions, by name.",
      mapOf(resourceName, version, { of: "versions", min: 1 }),
      [],
    ),
    balance: defaulted(
      "Load balancing among a version's endpoints. p2c: the less loaded of two random ones; hash: always the same one for a user.",
      oneOf(balances),
      "p2c",
    ),
    protocol: defaulted(
      "The protocol of the endpoints: http1, or http2, which gRPC needs (by ALPN on https, by prior knowledge on http).",
      oneOf(upstreamProtocols),
      "http1",
    ),
    timeouts: defaulted("Timeouts of requests to endpoints.", timeouts, {}),
    tls: optional("TLS to https endpoints: verification and client certificate.", upstreamTlsSchema),
    external: defaulted(
      "Whether a third party runs it. The assigned version is then not sent to it.",
      boolean(),
      false,
    ),
    health: optional("Active health checks. Default: none.", healthSchema),
    outlier: optional("Outlier detection: ejects endpoints that fail requests. Default: off.", outlierSchema),
    retries: optional(
      "Which failures are retried. Default: failed connections, and once a reset of an idempotent request.",
      retriesSchema,
    ),
    limits: optional("Limits on concurrent load per version. Default: none.", limitsSchema),
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
    if (version.name === rolloutWord) {
      const message = `a version cannot be named ${rolloutWord}: in a rule, use: ${rolloutWord} is the release's rollout`;
      parsing.error(parsing.keySpanOf(version), "bad-value", message);
    }
    // The description identifies an endpoint, so that duplicates in different notations are found.
    const endpoints = new Map(version.value.endpoints.map((endpoint) => [describeSpec(endpoint), endpoint]));
    if (endpoints.size < version.value.endpoints.length) {
      const span = parsing.spanOf(version.value, "endpoints");
      parsing.warn(
        span,
        "risky",
        `version ${version.name} of service ${name} lists an endpoint twice; the duplicate is ignored`,
      );
    }
    return { name: version.name, endpoints: [...endpoints.values()] };
  });
  for (const key of ["maxConnections", "maxIdleConnections"] as const) {
    if (value.protocol !== "http2" || value.limits?.[key] === undefined) continue;
    const message = `${key} applies to HTTP/1.1 only, where a connection carries one request at a time`;
    const suggestion = key === "maxConnections" ? "set maxInFlight instead" : "remove it";
    parsing.error(parsing.spanOf(value.limits, key), "conflicting-keys", message, suggestion);
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
    responseHead: compileResponseHead(value.limits),
    reuse: compileReuse(value.timeouts.keepAlive, value.limits),
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
    context.parsing.warn(span, "unused", `service ${name} has no https endpoint, so its tls has no effect`);
  }
  return compileUpstreamTls(name, tls, context);
}
