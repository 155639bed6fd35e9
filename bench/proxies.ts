/** The compared proxies: one name for each in all programs. */
import { Child, nodeCommand } from "./child.ts";
import { startGateway } from "./gateway.ts";
import { startCaddy } from "./native/caddy.ts";
import { startHaproxy } from "./native/haproxy.ts";
import { startNginx } from "./native/nginx.ts";
import type { ProxyListening } from "./peers/canary-work.ts";
import type { RunningProxy, StartOptions } from "./running-proxy.ts";

/** Programs from packages of the system. */
export const nativePeerNames = ["nginx", "haproxy", "caddy"] as const;
export type NativePeerName = (typeof nativePeerNames)[number];

/** Proxies built from Node libraries. */
export const nodePeerNames = ["http-proxy-3", "fastify-http-proxy"] as const;
export type NodePeerName = (typeof nodePeerNames)[number];

/** Perch with and without access log in its default lane, and in each lane without it. */
export const perchNames = ["perch", "perch-no-log", "perch-standard", "perch-fast"] as const;
export type PerchName = (typeof perchNames)[number];

export type ProxyName = NativePeerName | NodePeerName | PerchName;

const starters: Readonly<Record<ProxyName, (options: StartOptions) => Promise<RunningProxy>>> = {
  nginx: startNginx,
  haproxy: startHaproxy,
  caddy: startCaddy,
  "http-proxy-3": (options) => startNodePeer("http-proxy-3", options),
  "fastify-http-proxy": (options) => startNodePeer("fastify-http-proxy", options),
  perch: (options) => startGateway({ accessLogSample: 1, fastLane: undefined }, options),
  "perch-no-log": (options) => startGateway({ accessLogSample: 0, fastLane: undefined }, options),
  "perch-standard": (options) => startGateway({ accessLogSample: 0, fastLane: "off" }, options),
  "perch-fast": (options) => startGateway({ accessLogSample: 0, fastLane: "on" }, options),
};

export function startProxy(name: ProxyName, options: StartOptions): Promise<RunningProxy> {
  return starters[name](options);
}

export function isPerch(name: ProxyName): boolean {
  return perchNames.some((known) => known === name);
}

async function startNodePeer(name: NodePeerName, options: StartOptions): Promise<RunningProxy> {
  const { upstreams, pinning, programs, secret } = options;
  if (options.tls || options.upstreamSockets || options.workers > 1) throw new Error(`${name} has no such situation`);
  const child = new Child({
    command: nodeCommand(programs.peer(name)),
    cpu: pinning.proxyCpu,
    messages: true,
    env: {
      NODE_ENV: "production",
      BENCH_SECRET: secret,
      BENCH_STABLE_PORT: String(upstreams.stablePort),
      BENCH_CANARY_PORT: String(upstreams.canaryPort),
    },
  });
  const { port, metricsPort } = await child.nextMessage<ProxyListening>();
  return {
    pid: child.pid,
    port,
    metrics: { url: `http://127.0.0.1:${metricsPort}/metrics`, requestCounter: "proxy_requests_total" },
    allocatedBytes: undefined,
    stop: () => child.stop(),
  };
}
