import { defaultPorts, urlHost } from "../http/authority.ts";
export interface VersionSpec {
  readonly name: string;
  readonly endpoints: readonly EndpointSpec[];
}

export interface Timeouts {
  readonly connectMs: number;
  /** From the end of the request to the response headers. */
  readonly responseHeadersMs: number;
  /** Between two chunks of a body, in either direction. */
  readonly idleMs: number;
  /** From the first byte of the request to the last of the response; 0: no limit. */
  readonly totalMs: number;
}

/** How many consecutive checks change an endpoint's health. */
export interface HealthThresholds {
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** How an endpoint's health is checked. */
export type ProbeSpec =
  | {
      readonly kind: "http";
      /** Path and query. */
      readonly path: string;
      readonly headers: readonly { readonly name: string; readonly value: string }[];
      /** Statuses that pass, both ends included. */
      readonly statuses: readonly StatusRange[];
    }
  | { readonly kind: "tcp" }
  /** grpc.health.v1; an empty service means the whole server. */
  | { readonly kind: "grpc"; readonly service: string };

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

export interface HealthSpec extends HealthThresholds {
  readonly probe: ProbeSpec;
  /** That of the service, like `tls`. */
  readonly protocol: UpstreamProtocol;
  readonly tls: UpstreamTls | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Outlier ejection: when an endpoint is ejected for its responses, and for how long. */
export interface OutlierSpec {
  readonly consecutiveFailures: number;
  /** `5xx`: every such status; `gateway`: 502, 503 and 504. Attempts without a valid response always count. */
  readonly failures: "5xx" | "gateway";
  /** The first ejection; each further one is longer. */
  readonly ejectForMs: number;
  /** Share of a version's endpoints, 0 to 1. */
  readonly maxEjectedShare: number;
}

/** Statuses that can be retried; a closed list, since each is a metric label value. */
export const retryableStatuses = [500, 502, 503, 504] as const;
export type RetryableStatus = (typeof retryableStatuses)[number];

export interface RetrySpec {
  /** Retries after the first attempt. */
  readonly attempts: number;
  readonly onReset: boolean;
  readonly statuses: readonly RetryableStatus[];
  /** Retries as a share of requests, 0 to 1. */
  readonly budgetShare: number;
  /** Whether the last attempt goes to the default version. */
  readonly otherVersion: boolean;
  /** Larger request bodies are not buffered, so their requests are not retried. */
  readonly maxBodyBytes: number;
}

/** Limits of a version, per worker; infinite: no limit. */
export interface LimitSpec {
  /** Per endpoint. */
  readonly maxConnections: number;
  readonly maxInFlight: number;
  readonly maxPending: number;
  readonly pendingTimeoutMs: number;
}

/** Limits of the head of an endpoint's response. */
export interface ResponseHeadLimits {
  readonly bytes: number;
  readonly fields: number;
}

export const defaultResponseHead: ResponseHeadLimits = Object.freeze({ bytes: 64 * 1024, fields: 1_000 });

/** How connections to an endpoint are reused. */
export interface ReuseSpec {
  /** How long an idle connection is kept, unless the endpoint announces less. */
  readonly keepAliveMs: number;
  /** Requests per connection; infinite: no limit. */
  readonly maxRequests: number;
  /** Idle connections per endpoint and lane; infinite: no limit. */
  readonly maxIdle: number;
}

export const defaultReuse: ReuseSpec = Object.freeze({
  keepAliveMs: 30_000,
  maxRequests: Number.POSITIVE_INFINITY,
  maxIdle: Number.POSITIVE_INFINITY,
});

export const upstreamProtocols = ["http1", "http2"] as const;
/** HTTP/1.1, or HTTP/2 by ALPN for https and with prior knowledge for http. */
export type UpstreamProtocol = (typeof upstreamProtocols)[number];

/** How an endpoint is chosen among those of a version. */
export const balances = ["p2c", "round-robin", "least-in-flight", "hash"] as const;
export type Balance = (typeof balances)[number];

export interface ServiceSpec {
  readonly name: string;
  readonly defaultVersion: string;
  readonly versions: readonly VersionSpec[];
  readonly timeouts: Timeouts;
  readonly tls: UpstreamTls | undefined;
  readonly protocol: UpstreamProtocol;
  readonly balance: Balance;
  /** Whether it is run by a third party: releases are not propagated to it. */
  readonly external: boolean;
  readonly health: HealthSpec | undefined;
  readonly outlier: OutlierSpec | undefined;
  readonly retries: RetrySpec | undefined;
  readonly limits: LimitSpec | undefined;
  readonly responseHead: ResponseHeadLimits;
  readonly reuse: ReuseSpec;
}

/** All DNS names of the services' endpoints. */
export function questionsOf(services: readonly ServiceSpec[]): readonly DnsQuestion[] {
  const endpoints = services.flatMap(({ versions }) => versions).flatMap((version) => version.endpoints);
  return endpoints.flatMap((endpoint) => (endpoint.kind === "dns" ? [endpoint.question] : []));
}

/** All Kubernetes Services whose Pods are the services' endpoints. */
export function sliceQuestionsOf(services: readonly ServiceSpec[]): readonly SliceQuestion[] {
  const endpoints = services.flatMap(({ versions }) => versions).flatMap((version) => version.endpoints);
  return endpoints.flatMap((endpoint) => (endpoint.kind === "slices" ? [endpoint.question] : []));
}

/** Endpoints in the configuration: one address, all addresses of a DNS name, or the Pods of a Kubernetes Service. */
export type EndpointSpec =
  | { readonly kind: "address"; readonly address: EndpointAddress }
  | DnsEndpointSpec
  | SlicesEndpointSpec;

export interface SlicesEndpointSpec {
  readonly kind: "slices";
  readonly question: SliceQuestion;
  readonly scheme: "http" | "https";
}

export interface DnsEndpointSpec {
  readonly kind: "dns";
  readonly question: DnsQuestion;
  readonly scheme: "http" | "https";
  /** Undefined if SRV records provide it. */
  readonly port: number | undefined;
}

export function schemeOf(spec: EndpointSpec): "http" | "https" {
  return spec.kind === "address" ? spec.address.scheme : spec.scheme;
}

/** The name for users; unique within a version. */
export function describeSpec(spec: EndpointSpec): string {
  if (spec.kind === "address") return spec.address.origin;
  if (spec.kind === "slices") return `${spec.scheme}://${describeSlices(spec.question)} by EndpointSlices`;
  const { question, scheme, port } = spec;
  return `${scheme}://${question.name}${port === undefined ? "" : `:${port}`} by DNS`;
}

/** `shop-canary.shop:http`; what the configuration does not name is left out. */
function describeSlices({ namespace, service, port }: SliceQuestion): string {
  return `${service}${namespace === undefined ? "" : `.${namespace}`}${port === undefined ? "" : `:${port}`}`;
}

/**
 * An endpoint of a DNS name or of a Kubernetes Service. Its certificate must name the configured name or the Service, not
 * the address found.
 */
export function recordAddress(
  spec: DnsEndpointSpec | SlicesEndpointSpec,
  { address: found, port, host }: EndpointRecord,
): EndpointAddress {
  const number = port ?? ("port" in spec ? spec.port : undefined);
  const origin = `${spec.scheme}://${urlHost(found)}:${number}`;
  const certified = host ?? certifiedName(spec);
  // A URL takes longer, and there may be thousands. It leaves nothing of an IPv4 address to be changed.
  if (!found.includes(":") && number !== undefined) {
    return { origin, scheme: spec.scheme, host: certified, place: { host: found, port: number } };
  }
  return { ...addressOf(origin), host: certified };
}

/** Certificates contain neither SRV labels (`_https._tcp.`) nor a trailing dot. */
function certifiedName({ question }: DnsEndpointSpec | SlicesEndpointSpec): string {
  if (question.wanted === "slices") return question.service;
  return question.name.replace(/^(?:_[^.]*\.)+/, "").replace(/\.$/, "");
}

/** A socket address as options of node:net: `connect({ ...place })`. */
export type SocketPlace = { readonly host: string; readonly port: number } | { readonly path: string };

export interface EndpointAddress {
  /** `http://host:port`, `https://host:port` or `unix:/path`: its name in logs and metrics. */
  readonly origin: string;
  readonly scheme: "http" | "https";
  /** The name or IP address (IPv6 without brackets) that a TLS certificate must contain. */
  readonly host: string;
  readonly place: SocketPlace;
}

/** Parses an origin that includes its port. */
export function addressOf(origin: string): EndpointAddress {
  const { hostname, port, protocol } = new URL(origin);
  const scheme = protocol === "https:" ? "https" : "http";
  const host = hostname.replace(/^\[|\]$/g, "");
  // URL omits the default port of a scheme.
  const place = { host, port: port === "" ? defaultPorts[scheme] : Number(port) };
  return Object.freeze({ origin, scheme, host, place: Object.freeze(place) });
}

/** A unix socket. */
export function unixAddress(path: string): EndpointAddress {
  return Object.freeze({ origin: `unix:${path}`, scheme: "http", host: "localhost", place: Object.freeze({ path }) });
}

/** TLS settings for the https endpoints of a service. */
export interface UpstreamTls {
  /** PEM: CA certificates that replace the system's. */
  readonly ca: Uint8Array | undefined;
  /** The client certificate for mutual TLS: PEM, the chain and its key. */
  readonly client: { readonly chain: Uint8Array; readonly key: Uint8Array } | undefined;
  /** The SNI, and the name that certificates must contain. Default: each endpoint's host. */
  readonly serverName: string | undefined;
  readonly verify: "certificates" | "nothing";
  /** A digest of all settings: connections are kept if it does not change. */
  readonly digest: string;
}

/** A name to resolve: its addresses, or the hosts and ports of its SRV records (`services`). */
export interface DnsQuestion {
  /** Lower case. With a trailing dot the search list does not apply. */
  readonly name: string;
  readonly wanted: "addresses" | "services";
}

/** The ready Pods of a Kubernetes Service, as its EndpointSlices list them. */
export interface SliceQuestion {
  readonly wanted: "slices";
  readonly service: string;
  /** Undefined: Perch's own. */
  readonly namespace: string | undefined;
  /** A port's name in the Service, or the number that its Pods listen on. Undefined: the Service's only port. */
  readonly port: string | number | undefined;
}

/** What endpoints are found by. */
export type EndpointQuestion = DnsQuestion | SliceQuestion;

/** Where one endpoint is. */
export interface EndpointRecord extends DnsRecord {
  /** The name that its certificate must contain. Default: that of the question. */
  readonly host?: string;
}

export type AddressFamily = 4 | 6;

export interface DnsRecord {
  readonly address: string;
  /** Set by SRV records. */
  readonly port: number | undefined;
}

export type DnsAnswer =
  | {
      readonly kind: "found";
      readonly records: readonly DnsRecord[];
      readonly ttlMs: number;
      /** The address families that a query failed for, or has no answer yet. */
      readonly unknown: readonly AddressFamily[];
    }
  /** There is no such name, or it has no records of this type. */
  | { readonly kind: "empty" }
  /** No name server gave an answer. */
  | { readonly kind: "failed"; readonly why: string };

/** How names are resolved. */
export interface DnsSpec {
  /** Addresses with ports, in the format of node:dns's `setServers`; empty: the system's. */
  readonly servers: readonly string[];
  /** Bounds on the TTL of answers. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
}

export function questionKey(question: EndpointQuestion): string {
  if (question.wanted !== "slices") return `${question.wanted} ${question.name}`;
  const { namespace = "", service, port = "" } = question;
  return `slices ${namespace}/${service} ${port}`;
}
