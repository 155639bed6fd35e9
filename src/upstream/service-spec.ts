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
  /** From the request's first byte to the answer's last; 0: no limit. */
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

/** What the configuration says of a version's endpoints: one address, or all that a name stands for. */
export type EndpointSpec = { readonly kind: "address"; readonly address: EndpointAddress } | DnsEndpointSpec;

export interface DnsEndpointSpec {
  readonly kind: "dns";
  readonly question: DnsQuestion;
  readonly scheme: "http" | "https";
  /** Undefined where SRV records give one each. */
  readonly port: number | undefined;
}

export function schemeOf(spec: EndpointSpec): "http" | "https" {
  return spec.kind === "address" ? spec.address.scheme : spec.scheme;
}

/** As people know it; no two of a version are described alike. */
export function describeSpec(spec: EndpointSpec): string {
  if (spec.kind === "address") return spec.address.origin;
  const { question, scheme, port } = spec;
  return `${scheme}://${question.name}${port === undefined ? "" : `:${port}`} by DNS`;
}

/** One of the endpoints that a name stands for. A certificate must name what was configured, not where that led. */
export function recordAddress({ question, scheme, port }: DnsEndpointSpec, record: DnsRecord): EndpointAddress {
  const host = record.address.includes(":") ? `[${record.address}]` : record.address;
  const address = addressOf(`${scheme}://${host}:${record.port ?? port}`);
  return Object.freeze({ ...address, host: certifiedName(question.name) });
}

/** Without the labels of a service, `_https._tcp.`, and the dot at the end: no certificate has those. */
function certifiedName(name: string): string {
  return name.replace(/^(?:_[^.]*\.)+/, "").replace(/\.$/, "");
}

/** Where a socket is, in the words of node:net: connect there by `connect({ ...place })`. */
export type SocketPlace = { readonly host: string; readonly port: number } | { readonly path: string };

/** Where an endpoint is, and who it is. */
export interface EndpointAddress {
  /** `http://host:port`, `https://host:port` or `unix:/path`: what logs, metrics and people call it. */
  readonly origin: string;
  readonly scheme: "http" | "https";
  /** A name or an IP address, IPv6 without brackets: whom a TLS certificate must name. */
  readonly host: string;
  readonly place: SocketPlace;
}

/** The address that an origin with its port written out names. */
export function addressOf(origin: string): EndpointAddress {
  const { hostname, port, protocol } = new URL(origin);
  const scheme = protocol === "https:" ? "https" : "http";
  const host = hostname.replace(/^\[|\]$/g, "");
  // URL leaves out a scheme's own port.
  const place = { host, port: port === "" ? (scheme === "https" ? 443 : 80) : Number(port) };
  return Object.freeze({ origin, scheme, host, place: Object.freeze(place) });
}

/** A socket of this machine, by its path. */
export function unixAddress(path: string): EndpointAddress {
  return Object.freeze({ origin: `unix:${path}`, scheme: "http", host: "localhost", place: Object.freeze({ path }) });
}

/** How the https endpoints of a service are known, and what they are shown. */
export interface UpstreamTls {
  /** PEM: the authorities that count in place of the system's. */
  readonly ca: Uint8Array | undefined;
  /** What the endpoint is shown if it asks (mutual TLS): PEM, the chain and its key. */
  readonly client: { readonly chain: Uint8Array; readonly key: Uint8Array } | undefined;
  /** Whom certificates must name, and the name that is asked for (SNI). Default: each endpoint's own. */
  readonly serverName: string | undefined;
  readonly verify: "certificates" | "nothing";
  /** Of all of these: connections are kept where it stays the same. */
  readonly digest: string;
}

/** A name, and what of it is wanted: its addresses, or the hosts and ports of its SRV records. */
export interface DnsQuestion {
  /** In lower case. A dot at its end says that it is whole as it stands. */
  readonly name: string;
  readonly wanted: "addresses" | "services";
}

export type AddressFamily = 4 | 6;

export interface DnsRecord {
  readonly address: string;
  /** Undefined where only an address was wanted. */
  readonly port: number | undefined;
}

export type DnsAnswer =
  | {
      readonly kind: "found";
      readonly records: readonly DnsRecord[];
      readonly ttlMs: number;
      /** The family of addresses for which no name server could tell, though one could for the other. */
      readonly unknown: AddressFamily | undefined;
    }
  /** The name servers say that there is no such name, or nothing of that kind. */
  | { readonly kind: "empty" }
  /** No name server could tell. */
  | { readonly kind: "failed"; readonly why: string };

/** How names are resolved. */
export interface DnsSpec {
  /** Addresses with ports, as `setServers` of node:dns takes them; none: those of the system. */
  readonly servers: readonly string[];
  /** Answers count for their time to live, but for so long at least and at most. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
}

export const questionKey = ({ name, wanted }: DnsQuestion): string => `${wanted} ${name}`;
