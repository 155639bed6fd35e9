import type { UpstreamStats } from "../observe/stats-registry.ts";
import type { Balancer } from "../upstream/balancers.ts";
import type { ConcurrencyLimiter } from "../upstream/concurrency-limiter.ts";
import type { EndpointSet } from "../upstream/endpoint.ts";
import type {
  ResponseHeadLimits,
  ServiceSpec,
  Timeouts,
  UpstreamProtocol,
  UpstreamTls,
} from "../upstream/service-spec.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** One version of a service, ready to be sent requests. */
export interface ServiceVersion {
  readonly name: string;
  /** Position in the service's `versions`. A route's stats and header edits are indexed by it. */
  readonly index: number;
  /** DNS may change the members during the life of the snapshot. */
  readonly endpoints: EndpointSet;
  readonly balancer: Balancer;
  readonly stats: UpstreamStats;
  /** Undefined if the service has no limits. */
  readonly limiter: ConcurrencyLimiter | undefined;
}

export interface Service {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly defaultVersion: ServiceVersion;
  readonly versions: ReadonlyMap<string, ServiceVersion>;
  readonly timeouts: Timeouts;
  readonly responseHead: ResponseHeadLimits;
  /** Whether third parties run it. Versions are not propagated to it. */
  readonly external: boolean;
  readonly protocol: UpstreamProtocol;
  readonly retries: RetryPolicy;
  readonly tls: UpstreamTls | undefined;
}
