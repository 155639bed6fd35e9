import type { Balance } from "./balance.ts";
import type { DnsQuestion } from "./dns-question.ts";
import type { EndpointSpec } from "./endpoint-spec.ts";
import type { UpstreamTls } from "./upstream-tls.ts";

export interface VersionSpec {
  readonly name: string;
  readonly endpoints: readonly EndpointSpec[];
}

export interface Timeouts {
  readonly connectMs: number;
  /** From the end of the request to the response's head. */
  readonly responseHeadersMs: number;
  /** Between two pieces of a body, either way. */
  readonly idleMs: number;
  /** From the request's first octet to the answer's last; 0: no limit. */
  readonly totalMs: number;
}

/** How many checks in a row change what is believed of an endpoint. */
export interface HealthThresholds {
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** What is asked of an endpoint to see whether it is well. */
export type ProbeSpec =
  | {
      readonly kind: "http";
      /** Path and query. */
      readonly path: string;
      readonly headers: readonly { readonly name: string; readonly value: string }[];
      /** Which statuses are well, both ends included. */
      readonly statuses: readonly StatusRange[];
    }
  | { readonly kind: "tcp" }
  /** grpc.health.v1; an empty service stands for the whole server. */
  | { readonly kind: "grpc"; readonly service: string };

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

export interface HealthSpec extends HealthThresholds {
  readonly probe: ProbeSpec;
  /** The service's, as `tls` is. */
  readonly protocol: UpstreamProtocol;
  readonly tls: UpstreamTls | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** When an endpoint is taken out for its answers, and for how long. */
export interface OutlierSpec {
  readonly consecutiveFailures: number;
  /** `5xx`: every such status; `gateway`: 502, 503 and 504. Attempts without a valid answer always count. */
  readonly failures: "5xx" | "gateway";
  /** The first time; longer each further time. */
  readonly ejectForMs: number;
  /** Of a version's endpoints, 0 to 1. */
  readonly maxEjectedShare: number;
}

/** Statuses that can be retried; a closed list, for each is a series. */
export const retryableStatuses = [500, 502, 503, 504] as const;
export type RetryableStatus = (typeof retryableStatuses)[number];

export interface RetrySpec {
  /** After the first try. */
  readonly attempts: number;
  readonly onReset: boolean;
  readonly statuses: readonly RetryableStatus[];
  /** Retries as a share of requests, 0 to 1. */
  readonly budgetShare: number;
  /** Whether the last attempt goes to the default version. */
  readonly otherVersion: boolean;
  /** The largest request body that is kept for another attempt. */
  readonly maxBodyBytes: number;
}

/** What a version is given at a time, by each worker; infinite where there is no limit. */
export interface LimitSpec {
  /** To each endpoint. */
  readonly maxConnections: number;
  readonly maxInFlight: number;
  readonly maxPending: number;
  readonly pendingTimeoutMs: number;
}

export const upstreamProtocols = ["http1", "http2"] as const;
/** What is spoken to a service's endpoints: HTTP/1.1, or HTTP/2, by ALPN with https and with prior knowledge without. */
export type UpstreamProtocol = (typeof upstreamProtocols)[number];

export interface ServiceSpec {
  readonly name: string;
  readonly defaultVersion: string;
  readonly versions: readonly VersionSpec[];
  readonly timeouts: Timeouts;
  readonly tls: UpstreamTls | undefined;
  readonly protocol: UpstreamProtocol;
  readonly balance: Balance;
  /** Whether others run it: nothing of our releases is told there. */
  readonly external: boolean;
  readonly health: HealthSpec | undefined;
  readonly outlier: OutlierSpec | undefined;
  readonly retries: RetrySpec | undefined;
  readonly limits: LimitSpec | undefined;
}

/** Every name that endpoints are found by. */
export function questionsOf(services: readonly ServiceSpec[]): readonly DnsQuestion[] {
  const endpoints = services.flatMap(({ versions }) => versions).flatMap((version) => version.endpoints);
  return endpoints.flatMap((endpoint) => (endpoint.kind === "dns" ? [endpoint.question] : []));
}
