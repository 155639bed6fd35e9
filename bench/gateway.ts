/** Starts Perch from this checkout, with the features of a gateway in front of a canary. */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { certFile, keyFile } from "./certificate.ts";
import { Child } from "./child.ts";
import { freePorts } from "./free-ports.ts";
import type { RunningProxy, Situation, StartOptions, UpstreamPorts } from "./running-proxy.ts";
import { makeScratchDirectory, removeScratchDirectory } from "./scratch-directory.ts";

export interface GatewayForm {
  /** Share of requests logged, unless all are by the situation. */
  readonly accessLogSample: number;
  /** The configuration's value; undefined for the default. */
  readonly fastLane: "on" | "off" | undefined;
}

const heapProbe = fileURLToPath(new URL("side-by-side/heap-probe.js", import.meta.url));

export async function startGateway(form: GatewayForm, options: StartOptions): Promise<RunningProxy> {
  const [port, adminPort] = await freePorts(2);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "perch.yaml");
  const secretFile = join(directory, "pin-secret");
  writeFileSync(secretFile, `${options.secret}\n`, { mode: 0o600 });
  writeFileSync(configFile, gatewayConfig({ ...form, ...options, port, adminPort, secretFile }));

  const heapSocket = join(directory, "heap.sock");
  const child = new Child({
    command: [process.execPath, "--import", heapProbe, options.programs.gateway, "serve", "-c", configFile],
    env: { NODE_ENV: "production", BENCH_HEAP_SOCKET: heapSocket },
    cpu: options.pinning.proxyCpu,
    messages: false,
  });
  await child.waitUntil(() => isReady(adminPort));
  return {
    pid: child.pid,
    port,
    metrics: { url: `http://127.0.0.1:${adminPort}/metrics`, requestCounter: "perch_requests_total" },
    allocatedBytes: options.workers > 1 ? undefined : async () => Number(await text(connect(heapSocket))),
    stop: async () => {
      await child.stop();
      removeScratchDirectory(directory);
    },
  };
}

interface ConfigValues extends GatewayForm, Situation {
  readonly port: number;
  readonly adminPort: number;
  readonly secretFile: string;
  readonly upstreams: UpstreamPorts;
}

/** The same work as the peers' canary-work.ts, and more: a second rule, typed attributes, the log. */
function gatewayConfig(values: ConfigValues): string {
  const { port, adminPort, secretFile, upstreams, fastLane, routePrefixes, tls, upstreamSockets: sockets } = values;
  const { accessLog, accessLogSample, trustedCallers, workers } = values;
  const routes = routePrefixes.map(
    (prefix, index) =>
      `  - { name: route-${index}, match: { path: { prefix: ${prefix} } }, service: shop, release: shop }\n`,
  );
  return `
listeners:
  - { name: web, address: "127.0.0.1:${port}"${tls ? `, tls: { certificates: [{ certFile: ${certFile}, keyFile: ${keyFile} }] }` : ""} }
admin: { address: "127.0.0.1:${adminPort}" }
trustedProxies: [10.0.0.0/8${trustedCallers ? ", 127.0.0.0/8" : ""}]
workers: ${workers}
exposeVersion: true
${fastLane === undefined ? "" : `fastLane: ${fastLane}`}
accessLog: { sample: ${accessLog ? 1 : accessLogSample} }
attributes:
  userId:       { type: string, from: [{ header: x-user-id }, { cookie: uid }] }
  region:       { type: string, from: [{ header: x-user-region }, { query: region }] }
  registeredAt: { type: time,   from: [{ header: x-user-registered-at }] }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["${sockets ? `unix:${sockets.stableSocket}` : `http://127.0.0.1:${upstreams.stablePort}`}"] }
      canary: { endpoints: ["${sockets ? `unix:${sockets.canarySocket}` : `http://127.0.0.1:${upstreams.canaryPort}`}"] }
releases:
  shop:
    sticky:
      cookie: { name: perch-shop, maxAge: 30d, secretFile: ${JSON.stringify(secretFile)} }
    override: { header: x-perch-version, cookie: perch-version, allowFrom: [10.0.0.0/8] }
    rules:
      - name: testers
        when: { userId: { prefix: qa- } }
        use: canary
      - name: new-users-in-the-east
        when: { region: [cn-east, cn-south], registeredAt: { after: 2026-01-01 } }
        use: canary
    split: { stable: 90, canary: 10 }
routes:
${routes.join("")}  - name: shop-api
    match: { path: { prefix: /api } }
    service: shop
    release: shop
  - name: shop
    match: { path: { prefix: / } }
    service: shop
    release: shop
`;
}

async function isReady(adminPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
