/** Starts Perch from this checkout, with the features of a gateway in front of a canary. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { certFile, keyFile } from "./certificate.ts";
import { Child, nodeCommand } from "./child.ts";
import { freePorts } from "./free-ports.ts";
import type { RunningProxy, StartOptions, UpstreamPorts } from "./running-proxy.ts";
import { makeScratchDirectory, removeScratchDirectory } from "./scratch-directory.ts";

export interface GatewayForm {
  /** Share of requests logged. */
  readonly accessLogSample: number;
  /** The configuration's value; undefined for the default. */
  readonly fastLane: "on" | "off" | undefined;
}

export async function startGateway(form: GatewayForm, options: StartOptions): Promise<RunningProxy> {
  const [port, adminPort] = await freePorts(2);
  const directory = makeScratchDirectory();
  const configFile = join(directory, "perch.yaml");
  const secretFile = join(directory, "pin-secret");
  writeFileSync(secretFile, `${options.secret}\n`, { mode: 0o600 });
  writeFileSync(configFile, gatewayConfig({ ...form, ...options, port, adminPort, secretFile }));

  const child = new Child({
    command: nodeCommand(options.programs.gateway, "serve", "-c", configFile),
    env: { NODE_ENV: "production" },
    cpu: options.pinning.proxyCpu,
    messages: false,
  });
  await child.waitUntil(() => isReady(adminPort));
  return {
    pid: child.pid,
    port,
    metrics: { url: `http://127.0.0.1:${adminPort}/metrics`, requestCounter: "perch_requests_total" },
    stop: async () => {
      await child.stop();
      removeScratchDirectory(directory);
    },
  };
}

interface ConfigValues extends GatewayForm {
  readonly port: number;
  readonly adminPort: number;
  readonly secretFile: string;
  readonly upstreams: UpstreamPorts;
  readonly routePrefixes: readonly string[];
  readonly tls: boolean;
}

/** The same work as the peers' canary-work.ts, and more: a second rule, typed attributes, the log. */
function gatewayConfig(values: ConfigValues): string {
  const { port, adminPort, secretFile, upstreams, accessLogSample, fastLane, routePrefixes, tls } = values;
  const routes = routePrefixes.map(
    (prefix, index) =>
      `  - { name: route-${index}, match: { path: { prefix: ${prefix} } }, service: shop, release: shop }\n`,
  );
  return `
listeners:
  - { name: web, address: "127.0.0.1:${port}"${tls ? `, tls: { certificates: [{ certFile: ${certFile}, keyFile: ${keyFile} }] }` : ""} }
admin: { address: "127.0.0.1:${adminPort}" }
trustedProxies: [10.0.0.0/8]
exposeVersion: true
${fastLane === undefined ? "" : `fastLane: ${fastLane}`}
accessLog: { sample: ${accessLogSample} }
attributes:
  userId:       { type: string, from: [{ header: x-user-id }, { cookie: uid }] }
  region:       { type: string, from: [{ header: x-user-region }, { query: region }] }
  registeredAt: { type: time,   from: [{ header: x-user-registered-at }] }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["http://127.0.0.1:${upstreams.stablePort}"] }
      canary: { endpoints: ["http://127.0.0.1:${upstreams.canaryPort}"] }
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
