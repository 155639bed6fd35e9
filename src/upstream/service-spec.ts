import type { Balance } from "./balance.ts";
import type { DnsQuestion } from "./dns-question.ts";
import type { EndpointSpec } from "./endpoint-spec.ts";

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
}

/** How many checks in a row change what is believed of an endpoint. */
export interface HealthThresholds {
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** When an endpoint is taken out for its answers, and for how long. */
export interface OutlierSpec {
  readonly consecutiveFailures: number;
  /** The first time; longer each further time. */
  readonly ejectForMs: number;
}

export const upstreamProtocols = ["http1", "http2"] as const;
/** What is spoken to a service's endpoints: HTTP/1.1, or HTTP/2, by ALPN with https and with prior knowledge without. */
export type UpstreamProtocol = (typeof upstreamProtocols)[number];

export interface ServiceSpec {
  readonly name: string;
  readonly defaultVersion: string;
  readonly versions: readonly VersionSpec[];
  readonly timeouts: Timeouts;
  readonly protocol: UpstreamProtocol;
  readonly balance: Balance;
  /** Whether others run it: nothing of our releases is told there. */
  readonly external: boolean;
}

/** Every name that endpoints are found by. */
export function questionsOf(services: readonly ServiceSpec[]): readonly DnsQuestion[] {
  const endpoints = services.flatMap(({ versions }) => versions).flatMap((version) => version.endpoints);
  return endpoints.flatMap((endpoint) => (endpoint.kind === "dns" ? [endpoint.question] : []));
}
