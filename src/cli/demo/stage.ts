import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { devNull } from "node:os";
import { App, StartError } from "../../app/app.ts";

const anyFreePort = 0;

export type StagePorts = Pick<DemoConfigInput, "proxyPort" | "adminPort">;

/** Everything that the crowd visits: the versions, and Perch in front of them. */
export interface Stage {
  readonly proxyOrigin: string;
  readonly adminOrigin: string;
  /** Frees every port; what is under way breaks off. */
  close(): Promise<void>;
}

export interface StageOptions {
  readonly split: DemoSplit;
  /** Where a port is taken, or 0, a free one replaces it. */
  readonly ports: StagePorts;
}

/** Starts the versions, then Perch. Rejects with a `StartError`, everything freed, where Perch can not start. */
export async function startStage({ split, ports }: StageOptions): Promise<Stage> {
  const [stable, canary] = await Promise.all([startDemoUpstream(demoVersions[0]), startDemoUpstream(demoVersions[1])]);
  const closeUpstreams = () => Promise.all([stable.close(), canary.close()]);
  try {
    const origins = { stable: stable.origin, canary: canary.origin };
    const app = await startApp({ origins, split }, ports);
    return {
      proxyOrigin: originOf(app),
      adminOrigin: `http://127.0.0.1:${app.adminAddress.port}`,
      async close() {
        await app.stop();
        await closeUpstreams();
      },
    };
  } catch (error) {
    await closeUpstreams();
    throw error;
  }
}

/** The demo's own listener is on a port of this machine. */
function originOf({ listeners }: App): string {
  const address = listeners[0]?.address;
  return `http://127.0.0.1:${typeof address === "object" ? address.port : ""}`;
}

/** Tries instead of asking first whether a port is free: the answer could be wrong by the time it is used. */
async function startApp(input: Omit<DemoConfigInput, keyof StagePorts>, wanted: StagePorts): Promise<App> {
  const choices = [wanted, { ...wanted, proxyPort: anyFreePort }, { ...wanted, adminPort: anyFreePort }];
  for (const ports of choices) {
    try {
      return await startOn(demoConfig({ ...input, ...ports }));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
    }
  }
  return startOn(demoConfig({ ...input, proxyPort: anyFreePort, adminPort: anyFreePort }));
}

function startOn(text: string): Promise<App> {
  return App.start({
    source: { kind: "text", name: "(demo)", text },
    env: {},
    // Below an error there is nothing that the table does not show, and the log would break into it.
    logLevel: "error",
    drainDelayMs: 0,
    drainTimeoutMs: 0,
    accessLogTo: devNull,
  });
}

export type VersionName = "stable" | "canary";

/** Per cent of the users that no rule takes, 100 together. */
export type DemoSplit = Readonly<Record<VersionName, number>>;

/** A version of the demo's shop, and the number of its release. */
export interface DemoVersion {
  readonly name: VersionName;
  readonly number: string;
}

export const demoVersions: readonly [DemoVersion, DemoVersion] = [
  { name: "stable", number: "1.7.9" },
  { name: "canary", number: "1.8.0" },
];

/** The one rule of the demo, and the version that it assigns. */
export const demoRule = { name: "new-users-in-the-east", version: "canary" } as const;

/** What the generated configuration is filled with. Ports may be 0 for any that is free. */
export interface DemoConfigInput {
  readonly proxyPort: number;
  readonly adminPort: number;
  /** By version name. */
  readonly origins: Readonly<Record<VersionName, string>>;
  readonly split: DemoSplit;
}

/** The demo's configuration, as a user would write it. */
function demoConfig({ proxyPort, adminPort, origins, split }: DemoConfigInput): string {
  return `listeners:
  - { name: web, address: "127.0.0.1:${proxyPort}" }
admin: { address: "127.0.0.1:${adminPort}" }
exposeVersion: true
accessLog: { sample: 0 }

attributes:
  userId:       { type: string, from: [{ header: x-user-id }] }
  region:       { type: string, from: [{ header: x-user-region }] }
  registeredAt: { type: time, from: [{ header: x-user-registered-at }] }

services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["${origins.stable}"] }
      canary: { endpoints: ["${origins.canary}"] }

releases:
  shop:
    sticky: { by: userId }
    rules:
      - name: ${demoRule.name}
        when: { region: cn-east, registeredAt: { after: 2026-01-01 } }
        use: ${demoRule.version}
    split: { stable: ${split.stable}, canary: ${split.canary} }

routes:
  - { name: shop, service: shop, release: shop }
`;
}

/** What a version answers every request with, so that whoever reads it knows which one it was. */
export function greeting({ name, number }: DemoVersion): string {
  return `Hello from ${name} ${number}\n`;
}

export interface DemoUpstream {
  readonly origin: string;
  /** Frees the port; what is under way breaks off. */
  close(): Promise<void>;
}

/** One version of the shop, on a free port of loopback. */
function startDemoUpstream(version: DemoVersion): Promise<DemoUpstream> {
  const text = greeting(version);
  const server = createServer((request, response) => {
    // A body that nobody reads would keep its connection from being used again.
    request.resume();
    response.writeHead(200, { "content-type": "text/plain", "content-length": text.length }).end(text);
  });
  const close = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    return promise;
  };
  const { promise, resolve, reject } = Promise.withResolvers<DemoUpstream>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    resolve({ origin: `http://127.0.0.1:${port}`, close });
  });
  return promise;
}
