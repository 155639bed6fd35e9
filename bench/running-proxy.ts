/** The options of every proxy, and its handle. */
import type { Pinning } from "./child.ts";
import type { Programs } from "./programs.ts";

export interface UpstreamPorts {
  readonly stablePort: number;
  readonly canaryPort: number;
}

/** The unix sockets of the same upstreams. */
export interface UpstreamSockets {
  readonly stableSocket: string;
  readonly canarySocket: string;
}

/** What a proxy does besides the canary work, and where it stands. */
export interface Situation {
  /** Further routes by path prefix. */
  readonly routePrefixes: readonly string[];
  /** Whether clients speak TLS, with the certificate of `certificate.ts`. */
  readonly tls: boolean;
  /** Whether callers are proxies themselves, whose X-Forwarded-* count. */
  readonly trustedCallers: boolean;
  /** Whether every request is logged, to standard output, which is the null device. */
  readonly accessLog: boolean;
  /** Threads or processes that serve. */
  readonly workers: number;
  /** Undefined: over TCP. */
  readonly upstreamSockets: UpstreamSockets | undefined;
}

export const plainSituation: Situation = {
  routePrefixes: [],
  tls: false,
  trustedCallers: false,
  accessLog: false,
  workers: 1,
  upstreamSockets: undefined,
};

export interface StartOptions extends Situation {
  readonly upstreams: UpstreamPorts;
  readonly pinning: Pinning;
  readonly programs: Programs;
  /** The secret of pins, where the proxy signs them: with the same one, pins outlive the process. */
  readonly secret: string;
  /** The maximum number of connections of the load, for proxies with pools of a configured size. */
  readonly connections: number;
}

export interface RunningProxy {
  readonly pid: number;
  readonly port: number;
  /** Undefined for proxies without a counter. */
  readonly metrics: ProxyMetrics | undefined;
  /** Bytes that its JavaScript has allocated since its start; undefined for others, and with several workers. */
  readonly allocatedBytes: (() => Promise<number>) | undefined;
  stop(): Promise<void>;
}

export interface ProxyMetrics {
  readonly url: string;
  /** The counter of all requests. */
  readonly requestCounter: string;
}

/** The sum over a metric's series; undefined without one. */
export async function sumOfMetric(metrics: ProxyMetrics, name: string): Promise<number | undefined> {
  const text = await (await fetch(metrics.url)).text();
  const series = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  if (series.length === 0) return undefined;
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
