/** Starts Perch from this checkout, with everything on that a gateway in front of a canary would have on. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.ts";
import type { RunningProxy, StartOptions } from "./proxies.ts";
import type { UpstreamsListening } from "./upstream.ts";

export interface GatewayOptions extends StartOptions {
  /** Share of requests logged. */
  readonly accessLogSample: number;
}

export async function startGateway(options: GatewayOptions): Promise<RunningProxy> {
  const [port, adminPort] = await freePorts(2);
  const directory = mkdtempSync(join(tmpdir(), "perch-bench-"));
  directories.add(directory);
  const configFile = join(directory, "perch.yaml");
  const secretFile = join(directory, "pin-secret");
  writeFileSync(secretFile, `${randomBytes(48).toString("base64url")}\n`, { mode: 0o600 });
  writeFileSync(configFile, gatewayConfig({ ...options, port, adminPort, secretFile }));

  const child = new Child({
    script: options.programs.gateway,
    args: ["serve", "-c", configFile],
    env: { NODE_ENV: "production" },
    cpu: options.pinning.proxyCpu,
    messages: false,
  });
  await child.waitUntil(() => isReady(adminPort));
  return {
    pid: child.pid,
    port,
    metricsUrl: `http://127.0.0.1:${adminPort}/metrics`,
    requestCounter: "perch_requests_total",
    stop: async () => {
      await child.stop();
      removeDirectory(directory);
    },
  };
}

/** Those that hold a secret and a configuration; none is left behind, however this process ends. */
const directories = new Set<string>();
process.once("exit", () => directories.forEach(removeDirectory));

function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}

interface ConfigValues {
  readonly port: number;
  readonly adminPort: number;
  readonly secretFile: string;
  readonly upstreams: UpstreamsListening;
  readonly accessLogSample: number;
}

/** The same work as the peers' canary-work.ts, and Perch's own besides: a second rule, typed attributes, the log. */
function gatewayConfig({ port, adminPort, secretFile, upstreams, accessLogSample }: ConfigValues): string {
  return `
listeners:
  - { name: web, address: "127.0.0.1:${port}" }
admin: { address: "127.0.0.1:${adminPort}" }
trustedProxies: [10.0.0.0/8]
exposeVersion: true
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
  - name: shop-api
    match: { path: { prefix: /api } }
    service: shop
    release: shop
  - name: shop
    match: { path: { prefix: / } }
    service: shop
    release: shop
`;
}

/** Ports that were free a moment ago. All are held at once, so that they differ. */
async function freePorts(count: 2): Promise<[number, number]>;
async function freePorts(count: number): Promise<number[]> {
  const holders = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  return Promise.all(
    holders.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      if (address === null || typeof address === "string") throw new Error("The system gave no port.");
      return address.port;
    }),
  );
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
