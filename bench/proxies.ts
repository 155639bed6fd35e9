/** The proxies that are compared, each started the same way and told apart by name. */
import { randomBytes } from "node:crypto";
import { Child, type Pinning } from "./child.ts";
import { startGateway } from "./gateway.ts";
import type { ProxyListening } from "./peers/canary-work.ts";
import type { Programs } from "./programs.ts";
import type { UpstreamsListening } from "./upstream.ts";

export const proxyNames = ["perch", "perch-no-log", "http-proxy-3", "fastify-http-proxy"] as const;
export type ProxyName = (typeof proxyNames)[number];

/** The proxies that the goals compare Perch with. */
export const peerNames: readonly ProxyName[] = ["http-proxy-3", "fastify-http-proxy"];

export interface RunningProxy {
  readonly pid: number;
  readonly port: number;
  readonly metricsUrl: string;
  /** The counter in its metrics that has every request. */
  readonly requestCounter: string;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly upstreams: UpstreamsListening;
  readonly pinning: Pinning;
  readonly programs: Programs;
}

export function startProxy(name: ProxyName, options: StartOptions): Promise<RunningProxy> {
  if (name === "perch") return startGateway({ ...options, accessLogSample: 1 });
  if (name === "perch-no-log") return startGateway({ ...options, accessLogSample: 0 });
  return startPeer(name, options);
}

async function startPeer(name: string, { upstreams, pinning, programs }: StartOptions): Promise<RunningProxy> {
  const child = new Child({
    script: programs.peer(name),
    cpu: pinning.proxyCpu,
    messages: true,
    env: {
      NODE_ENV: "production",
      BENCH_SECRET: randomBytes(32).toString("base64url"),
      BENCH_STABLE_PORT: String(upstreams.stablePort),
      BENCH_CANARY_PORT: String(upstreams.canaryPort),
    },
  });
  const { port, metricsPort } = await child.nextMessage<ProxyListening>();
  return {
    pid: child.pid,
    port,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    requestCounter: "proxy_requests_total",
    stop: () => child.stop(),
  };
}
