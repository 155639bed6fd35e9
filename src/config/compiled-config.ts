import type { AddressRange } from "../decide/ip-address.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { AttributeSpec } from "../identify/attributes.ts";
import type { GeoDatabase } from "../identify/geo-database.ts";
import type { JwtSpec } from "../identify/jwt-verifier.ts";
import type {
  FaultSpec,
  HeaderEditsSpec,
  RateLimitSpec,
  RedirectSpec,
  RewriteSpec,
  RouteMatch,
} from "../route/route-spec.ts";
import type { DnsSpec, ServiceSpec, Timeouts } from "../upstream/service-spec.ts";
import type { Certificate, TlsVersion } from "./certificate.ts";

export interface BindAddress {
  /** An IP address; `::` and `0.0.0.0` stand for every interface. */
  readonly host: string;
  /** 0 asks the system for a free port. */
  readonly port: number;
}

/** Where a unix socket stands, and who may connect to it. */
export interface UnixAddress {
  readonly path: string;
  /** Permission bits of the file, such as 0o660. */
  readonly mode: number;
}

/** What a listener speaks TLS by. */
export interface TlsSpec {
  /** The first is shown where no other has the name that is asked for. */
  readonly certificates: readonly Certificate[];
  readonly minVersion: TlsVersion;
  /** PEM: who must have issued every client's certificate; undefined: none is asked for. */
  readonly clientCa: Uint8Array | undefined;
}

/** Only a restart changes its name and address. */
export interface ListenerSpec {
  readonly name: string;
  readonly address: BindAddress | UnixAddress;
  /** Whether trusted callers say by the PROXY protocol, before anything else, for whom they speak. */
  readonly proxyProtocol: boolean;
  /** Undefined where HTTP is spoken in the clear. */
  readonly tls: TlsSpec | undefined;
  /** Whether HTTP/2 without TLS is taken, from clients that know it beforehand. Follows a reload. */
  readonly h2c: boolean;
}

/** What is done to the header fields of requests and of their responses. */
export interface MessageEdits {
  readonly request: HeaderEditsSpec | undefined;
  readonly response: HeaderEditsSpec | undefined;
}

/** The edits of one version, which come after those of the route. */
export interface VersionEdits extends MessageEdits {
  readonly service: string;
  readonly version: string;
}

/** A route leads to a service, or Perch answers it with a redirect. */
export type RouteSpec = {
  readonly name: string;
  readonly match: RouteMatch;
  /** Whether the release's mirror gets copies of its requests. */
  readonly mirror: "on" | "off";
  readonly headers: MessageEdits;
  readonly rewrite: RewriteSpec | undefined;
  /** In place of the service's, where there is a number. */
  readonly timeouts: Partial<Pick<Timeouts, "responseHeadersMs" | "idleMs" | "totalMs">>;
  /** In place of `limits.bodyBytes`; 0: no limit. */
  readonly bodyBytes: number | undefined;
  readonly rateLimit: RateLimitSpec | undefined;
  readonly fault: FaultSpec | undefined;
} & (
  | { readonly redirect: undefined; readonly service: string; readonly release: string | undefined }
  | { readonly redirect: RedirectSpec; readonly service: undefined; readonly release: undefined }
);

/** Which of a release's requests are copied, and to which version. */
export interface MirrorSpec {
  readonly release: string;
  readonly version: string;
  /** Of units, 0 to 100. */
  readonly percent: number;
  /** Upper case. */
  readonly methods: readonly string[];
  readonly maxBodyBytes: number;
  /** In each worker. */
  readonly maxInFlight: number;
}

export interface TracingSpec {
  /** Whose trace is continued. */
  readonly trustIncoming: "anyone" | "proxies" | "nobody";
  /** Share of traces recorded, 0 to 1. */
  readonly sample: number;
  readonly serviceName: string;
  /** Where spans go; the headers hold secrets. */
  readonly otlp:
    | { readonly endpoint: string; readonly headers: readonly (readonly [name: string, value: string])[] }
    | undefined;
}

/** Who may do what on the admin server. */
export interface AdminAccess {
  /** Empty: nobody may change anything. */
  readonly tokens: readonly Uint8Array[];
  /** For callers from beyond this machine. */
  readonly withoutToken: "probes-and-metrics" | "anyone-may-read";
}

/** What only a restart can change. Everything else in the file follows a reload. */
export interface StaticConfig {
  readonly listeners: readonly ListenerSpec[];
  readonly admin: BindAddress;
  /** How many threads serve; auto: as many as the CPU limit has whole cores. */
  readonly workers: number | "auto";
}

/** What a client may take at most. Where there is no limit, it is `Infinity`. */
export interface Limits {
  readonly headerBytes: number;
  readonly headerCount: number;
  /** Of a request's target. */
  readonly uriBytes: number;
  readonly cookies: number;
  /** 0: no limit. */
  readonly bodyBytes: number;
  /** Requests open on one HTTP/2 connection. */
  readonly streams: number;
  readonly requestsPerConnection: number;
  /** Of each listener, in each worker; auto: by the limit on open files. */
  readonly connections: number | "auto";
  /** Likewise, of one client. */
  readonly connectionsPerAddress: number;
  /** Requests being forwarded, in each worker. */
  readonly inFlight: number;
  /** How late the event loop may be. */
  readonly loopDelayMs: number;
}

/** A valid configuration, compiled to the types of the stages that use it; deep-frozen. */
export interface CompiledConfig extends StaticConfig {
  readonly adminAccess: AdminAccess;
  readonly trustedProxies: readonly AddressRange[];
  /** Whether callers over unix sockets are trusted as well. */
  readonly trustUnixSockets: boolean;
  readonly exposeVersion: boolean;
  /** Whether paths are matched and sent on in one normal form, or as they came. */
  readonly pathNormalisation: "on" | "off";
  /** Whether connections begin in the fast lane. */
  readonly fastLane: "on" | "off";
  /** Share of requests logged, 0 to 1. */
  readonly accessLog: { readonly sample: number };
  readonly limits: Limits;
  /** Undefined: Perch takes no part in traces. */
  readonly tracing: TracingSpec | undefined;
  readonly dns: DnsSpec;
  readonly attributes: readonly AttributeSpec[];
  /** How tokens are verified; undefined where none is read. */
  readonly jwt: JwtSpec | undefined;
  /** Where clients are; undefined where no database is named. */
  readonly geo: GeoDatabase | undefined;
  readonly services: readonly ServiceSpec[];
  readonly releases: readonly ReleaseSpec[];
  /** At most one a release. */
  readonly mirrors: readonly MirrorSpec[];
  readonly routes: readonly RouteSpec[];
  /** Of the versions that have any. */
  readonly versionEdits: readonly VersionEdits[];
  /** Names of releases whose pins are signed with a random secret, since no secretFile was given. */
  readonly unsignedReleases: readonly string[];
  /** Files other than the configuration that were read (secrets, lists): watched like it. */
  readonly files: readonly string[];
}

/**
 * Freezes plain objects and lists, all the way down. Instances of classes (compiled patterns, address ranges, secrets)
 * are left alone: they guard their own state.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
