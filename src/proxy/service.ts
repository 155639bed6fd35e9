import type { UpstreamStats } from "../observe/stats-registry.ts";
import type { Balancer } from "../upstream/balancers.ts";
import type { ConcurrencyLimiter } from "../upstream/concurrency-limiter.ts";
import type { EndpointSet } from "../upstream/endpoint.ts";
import type { ServiceSpec, Timeouts, UpstreamProtocol, UpstreamTls } from "../upstream/service-spec.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** One version of a service, ready to be sent requests. */
export interface ServiceVersion {
  readonly name: string;
  /** Its place among the service's versions; a route's stats are found by it. */
  readonly index: number;
  /** DNS may change which they are while the snapshot stands. */
  readonly endpoints: EndpointSet;
  readonly balancer: Balancer;
  readonly stats: UpstreamStats;
  /** Where the version has limits. */
  readonly limiter: ConcurrencyLimiter | undefined;
}

export interface Service {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly defaultVersion: ServiceVersion;
  readonly versions: ReadonlyMap<string, ServiceVersion>;
  readonly timeouts: Timeouts;
  /** Whether others run it, who are told nothing of our releases. */
  readonly external: boolean;
  readonly protocol: UpstreamProtocol;
  readonly retries: RetryPolicy;
  readonly tls: UpstreamTls | undefined;
}
