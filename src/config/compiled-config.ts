import type { AddressRange } from "../decide/ip-address.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { PathParameters } from "../http/path.ts";
import type { AttributeSpec } from "../identify/attributes.ts";
import type { GeoDatabase } from "../identify/geo-database.ts";
import type { JwtSpec } from "../identify/jwt-verifier.ts";
import type {
  CorsSpec,
  FaultSpec,
  HeaderEditsSpec,
  RateLimitSpec,
  RedirectSpec,
  RewriteSpec,
  RouteMatch,
} from "../route/route-spec.ts";
import type { DnsSpec, ServiceSpec, Timeouts } from "../upstream/service-spec.ts";
import type { Certificate, TlsVersion } from "./certificate.ts";

/** A valid configuration, compiled to the types that the proxy uses. Deep-frozen. */
export interface CompiledConfig extends StaticConfig {
  readonly adminAccess: AdminAccess;
  readonly trustedProxies: readonly AddressRange[];
  /** Whether callers over unix sockets are trusted. */
  readonly trustUnixSockets: boolean;
  readonly exposeVersion: boolean;
  /** Whether paths are normalised before matching and forwarding, or left unchanged. */
  readonly pathNormalisation: "on" | "off";
  readonly pathParameters: PathParameters;
  /** Whether connections start in the fast lane. */
  readonly fastLane: "on" | "off";
  /** Share of requests logged, 0 to 1. */
  readonly accessLog: { readonly sample: number };
  readonly limits: Limits;
  /** Undefined: no tracing; trace headers pass through unchanged. */
  readonly tracing: TracingSpec | undefined;
  readonly dns: DnsSpec;
  readonly attributes: readonly AttributeSpec[];
  /** How tokens are verified; undefined if no `jwt` is configured. */
  readonly jwt: JwtSpec | undefined;
  /** The GeoIP database; undefined if none is configured. */
  readonly geo: GeoDatabase | undefined;
  readonly services: readonly ServiceSpec[];
  readonly releases: readonly ReleaseSpec[];
  /** At most one per release. */
  readonly mirrors: readonly MirrorSpec[];
  readonly routes: readonly RouteSpec[];
  /** Only versions with edits. */
  readonly versionEdits: readonly VersionEdits[];
  /** Names of releases without a secretFile, whose pins are signed with a random secret. */
  readonly unsignedReleases: readonly string[];
  /** Other files that were read (secrets, lists, …), to be watched as well; also references to keys in their place. */
  readonly files: readonly string[];
}

/** Settings that take effect only at a restart; of listeners, only their names and addresses. */
export interface StaticConfig {
  readonly listeners: readonly ListenerSpec[];
  readonly admin: BindAddress;
  /** Number of serving threads. auto: the number of whole cores in the CPU limit. */
  readonly workers: number | "auto";
  /** The absolute path of the file in which rollouts and pauses outlive the process; undefined: nowhere. */
  readonly stateFile: string | undefined;
  /** Where several replicas keep one state, in Kubernetes; undefined: this process is alone. */
  readonly sharedState: SharedStateSpec | undefined;
  /** Undefined: nothing of the Gateway API is served. */
  readonly gateway: GatewaySpec | undefined;
}

export interface SharedStateSpec {
  readonly configMap: string;
  readonly lease: string;
  /** Undefined: the Pod's own. */
  readonly namespace: string | undefined;
}

/** What of the Gateway API is served. Needs a restart to change. */
export interface GatewaySpec {
  readonly controllerName: string;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** Names of listeners, by the port of Gateways. */
  readonly ports: readonly { readonly port: number; readonly listener: string }[];
  readonly addresses: readonly string[];
  /** Of the backends: their Services' cluster addresses, or their Pods. */
  readonly endpoints: "service" | "pods";
  readonly secretFile: string | undefined;
}

export interface BindAddress {
  /** An IP address, or `*`: every address of the machine, of IPv6 and IPv4. */
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
}

export interface UnixAddress {
  readonly path: string;
  /** Permission bits of the socket file, such as 0o660. */
  readonly mode: number;
}

export interface TlsSpec {
  /** The first is the default if none matches the requested server name. */
  readonly certificates: readonly Certificate[];
  readonly minVersion: TlsVersion;
  /** PEM: the CAs for client certificates (mutual TLS). Undefined: client certificates are not requested. */
  readonly clientCa: Uint8Array | undefined;
}

/** A reload changes everything but `name` and `address`. */
export interface ListenerSpec {
  readonly name: string;
  readonly address: BindAddress | UnixAddress;
  /** Whether connections start with a PROXY protocol header, which only trusted callers may send. */
  readonly proxyProtocol: boolean;
  /** Undefined: cleartext HTTP. */
  readonly tls: TlsSpec | undefined;
  /** Whether HTTP/2 without TLS is accepted, with prior knowledge. */
  readonly h2c: boolean;
}

/** Edits of request and response headers. */
export interface MessageEdits {
  readonly request: HeaderEditsSpec | undefined;
  readonly response: HeaderEditsSpec | undefined;
}

/** The header edits of one version, applied after those of the route. */
export interface VersionEdits extends MessageEdits {
  readonly service: string;
  readonly version: string;
}

/** A route to a service, or a redirect that Perch answers itself. */
export type RouteSpec = {
  readonly name: string;
  readonly match: RouteMatch;
  /** Whether the release's mirror applies to this route. */
  readonly mirror: "on" | "off";
  /** Whether the path is forwarded in normal form, or as the client wrote it. */
  readonly pathNormalisation: "on" | "off";
  /** Whether responses may be kept by shared caches although the release chose their version. */
  readonly sharedCache: "private" | "keep";
  readonly headers: MessageEdits;
  readonly rewrite: RewriteSpec | undefined;
  /** Each number overrides the service's timeout. */
  readonly timeouts: Partial<Pick<Timeouts, "responseHeadersMs" | "idleMs" | "totalMs">>;
  /** Overrides `limits.bodyBytes`; 0: no limit. */
  readonly bodyBytes: number | undefined;
  readonly rateLimit: RateLimitSpec | undefined;
  readonly fault: FaultSpec | undefined;
  /** Undefined: the upstream answers preflights. */
  readonly cors: CorsSpec | undefined;
} & (
  | { readonly redirect: undefined; readonly service: string; readonly release: string | undefined }
  | { readonly redirect: RedirectSpec; readonly service: undefined; readonly release: undefined }
);

/** Which requests of a release are mirrored, and to which version. */
export interface MirrorSpec {
  readonly release: string;
  readonly version: string;
  /** Of units, 0 to 100. */
  readonly percent: number;
  /** Upper case. */
  readonly methods: readonly string[];
  readonly maxBodyBytes: number;
  /** Per worker. */
  readonly maxInFlight: number;
}

export interface TracingSpec {
  /** Callers whose trace context is continued. */
  readonly trustIncoming: "anyone" | "proxies" | "nobody";
  /** Share of traces recorded, 0 to 1. */
  readonly sample: number;
  readonly serviceName: string;
  /** The collector. The headers may contain secrets. */
  readonly otlp:
    | { readonly endpoint: string; readonly headers: readonly (readonly [name: string, value: string])[] }
    | undefined;
}

export interface AdminAccess {
  /** Empty: all changing requests are rejected. */
  readonly tokens: readonly Uint8Array[];
  /** Access of unauthenticated callers from other machines. */
  readonly withoutToken: "probes-and-metrics" | "anyone-may-read";
}

/** Limits on clients. `Infinity` means no limit unless stated otherwise. */
export interface Limits {
  readonly headerBytes: number;
  readonly headerCount: number;
  /** Size of the request target. */
  readonly uriBytes: number;
  readonly cookies: number;
  /** 0: no limit. */
  readonly bodyBytes: number;
  /** Concurrent requests on one HTTP/2 connection. */
  readonly streams: number;
  readonly requestsPerConnection: number;
  /** Per listener and worker. auto: derived from the limit on open files. */
  readonly connections: number | "auto";
  /** Per client address, listener and worker. */
  readonly connectionsPerAddress: number;
  /** Concurrently forwarded requests per worker. */
  readonly inFlight: number;
  /** Maximum event loop delay. */
  readonly loopDelayMs: number;
}

/**
 * Freezes plain objects and arrays recursively. Class instances (compiled patterns, address ranges) and byte arrays are
 * left alone.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
