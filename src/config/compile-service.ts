import { describeSpec, schemeOf } from "../upstream/endpoint-spec.ts";
import type { ServiceSpec, VersionSpec } from "../upstream/service-spec.ts";
import type { UpstreamTls } from "../upstream/upstream-tls.ts";
import type { CompileContext } from "./compile-context.ts";
import { compileHealth } from "./compile-health.ts";
import { compileLimits, compileOutlier, compileRetries } from "./compile-resilience.ts";
import { compileUpstreamTls } from "./compile-upstream-tls.ts";
import type { Entry } from "./kit/collections.ts";
import type { ServiceConfig } from "./service-schema.ts";

export function compileService({ name, value }: Entry<ServiceConfig>, context: CompileContext): ServiceSpec {
  const { reading } = context;
  const known = reading.namesIn(value, "versions");
  if (value.default !== undefined && known?.has(value.default) === false) {
    reading.unknownName(reading.spanOf(value, "default"), "version", value.default, known);
  }
  const versions = value.versions.map((version): VersionSpec => {
    const endpoints = new Map(version.value.endpoints.map((endpoint) => [describeSpec(endpoint), endpoint]));
    if (endpoints.size < version.value.endpoints.length) {
      const span = reading.spanOf(version.value, "endpoints");
      reading.warn(span, "risky", `version ${version.name} of service ${name} lists an endpoint twice; it counts once`);
    }
    return { name: version.name, endpoints: [...endpoints.values()] };
  });
  if (value.protocol === "http2" && value.limits?.maxConnections !== undefined) {
    const message = "maxConnections is for HTTP/1.1, where a connection carries one request at a time";
    const span = reading.spanOf(value.limits, "maxConnections");
    reading.error(span, "conflicting-keys", message, "limit maxInFlight instead");
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
    const span = context.reading.keySpanOf(tls);
    context.reading.warn(span, "unused", `service ${name} has no endpoint with https, so its tls is for nothing`);
  }
  return compileUpstreamTls(name, tls, context);
}
