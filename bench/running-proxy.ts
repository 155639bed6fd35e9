/** What every proxy is started with, and what the benchmark knows of it then. */
import type { Pinning } from "./child.ts";
import type { Programs } from "./programs.ts";

export interface UpstreamPorts {
  readonly stablePort: number;
  readonly canaryPort: number;
}

export interface StartOptions {
  readonly upstreams: UpstreamPorts;
  readonly pinning: Pinning;
  readonly programs: Programs;
  /** What the proxy signs pins with, where it does: with the same one, pins outlive the process. */
  readonly secret: string;
  /** The most that the load will open, for proxies whose pools are sized by hand. */
  readonly connections: number;
  /** A route for each of these path prefixes, beside those that every proxy has. */
  readonly routePrefixes: readonly string[];
  /** Whether clients speak TLS, with the certificate of `certificate.ts`. */
  readonly tls: boolean;
}

export interface RunningProxy {
  readonly pid: number;
  readonly port: number;
  /** Undefined for proxies that keep no count by themselves. */
  readonly metrics: ProxyMetrics | undefined;
  stop(): Promise<void>;
}

export interface ProxyMetrics {
  readonly url: string;
  /** The counter that has every request. */
  readonly requestCounter: string;
}

/** The sum over a metric's series; undefined where there is none. */
export async function sumOfMetric(metrics: ProxyMetrics, name: string): Promise<number | undefined> {
  const text = await (await fetch(metrics.url)).text();
  const series = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  if (series.length === 0) return undefined;
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
