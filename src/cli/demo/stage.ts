import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { App, StartError } from "../../app/app.ts";
import type { Rollouts } from "../../rollout/rollouts-api.ts";
import type { WarmUpSpec } from "../../workers/messages.ts";

export type VersionName = "stable" | "canary";

/** Per cent of the users that the rule does not match; the sum is 100. */
export type DemoSplit = Readonly<Record<VersionName, number>>;

/** A version of the demo's shop, with its version number. */
export interface DemoVersion {
  readonly name: VersionName;
  readonly number: string;
}

export const demoVersions: readonly [DemoVersion, DemoVersion] = [
  { name: "stable", number: "1.7.9" },
  { name: "canary", number: "1.8.0" },
];

export const demoRelease = "shop";

/** The one rule of the demo, and the version that it assigns. */
export const demoRule = { name: "new-users-in-the-east", version: "canary" } as const;

/** The variable parts of the generated configuration. Port 0 means any free port. */
export interface DemoConfigInput {
  readonly proxyPort: number;
  readonly adminPort: number;
  readonly tokenFile: string;
  /** By version name. */
  readonly origins: Readonly<Record<VersionName, string>>;
  readonly split: DemoSplit;
  /** The steps of a rollout of the canary; undefined: the split holds. */
  readonly steps: readonly DemoStep[] | undefined;
}

export interface DemoStep {
  /** In percent. */
  readonly weight: number;
  /** A duration as in a configuration. */
  readonly hold: string;
}

export type StagePorts = Pick<DemoConfigInput, "proxyPort" | "adminPort">;

/** The running demo: two upstream versions, and Perch in front of them. */
export interface Stage {
  readonly proxyOrigin: string;
  readonly adminOrigin: string;
  /** For changing the rollout from outside. */
  readonly adminToken: string;
  readonly rollouts: Rollouts;
  /** From now on the canary answers every request with status 500. */
  breakCanary(): void;
  /** Aborts requests in flight and frees every port. */
  close(): Promise<void>;
}

export interface StageOptions {
  readonly split: DemoSplit;
  readonly steps?: readonly DemoStep[];
  /** A port that is 0 or in use is replaced by a free one. */
  readonly ports: StagePorts;
  /** What Perch exercises before it is ready. Default: nothing. */
  readonly warmUp?: WarmUpSpec | undefined;
}

/**
 * Starts the versions, then Perch. Rejects with a `StartError` if Perch cannot start; all ports are then free again.
 */
export async function startStage({ split, steps, ports, warmUp }: StageOptions): Promise<Stage> {
  const [stable, canary] = await Promise.all([startDemoUpstream(demoVersions[0]), startDemoUpstream(demoVersions[1])]);
  const token = await TokenFile.create();
  const closeRest = () => Promise.all([stable.close(), canary.close(), token.remove()]);
  try {
    const origins = { stable: stable.origin, canary: canary.origin };
    const app = await startApp({ origins, split, steps, tokenFile: token.path }, ports, warmUp);
    return {
      proxyOrigin: originOf(app),
      adminOrigin: `http://127.0.0.1:${app.adminAddress.port}`,
      adminToken: token.text,
      rollouts: app.rollouts,
      breakCanary: canary.fail,
      async close() {
        await app.stop();
        await closeRest();
      },
    };
  } catch (error) {
    await closeRest();
    throw error;
  }
}

/** An admin token for this run alone, in a file that only this user reads. */
class TokenFile {
  readonly text = `demo-${randomBytes(16).toString("hex")}`;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<TokenFile> {
    const file = new TokenFile(await mkdtemp(join(tmpdir(), "perch-demo-")));
    await writeFile(file.path, `${file.text}\n`, { mode: 0o600 });
    return file;
  }

  get path(): string {
    return join(this.#folder, "admin.token");
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export interface DemoUpstream {
  readonly origin: string;
  /** From now on every answer is a failure. */
  fail(): void;
  /** Aborts requests in flight and frees the port. */
  close(): Promise<void>;
}

/** One version of the shop, on a free loopback port. */
function startDemoUpstream(version: DemoVersion): Promise<DemoUpstream> {
  const text = greeting(version);
  let status = 200;
  const server = createServer((request, response) => {
    // An unread request body would block reuse of the connection.
    request.resume();
    response.writeHead(status, { "content-type": "text/plain", "content-length": text.length }).end(text);
  });
  const fail = () => {
    status = 500;
  };
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
    resolve({ origin: `http://127.0.0.1:${port}`, fail, close });
  });
  return promise;
}

/** The body of every response of a version; the crowd recognises the version by it. */
export function greeting({ name, number }: DemoVersion): string {
  return `Hello from ${name} ${number}\n`;
}

/** Tries the ports instead of probing them first: a free port may be taken between the probe and its use. */
async function startApp(
  input: Omit<DemoConfigInput, keyof StagePorts>,
  preferred: StagePorts,
  warmUp: WarmUpSpec | undefined,
): Promise<App> {
  const choices = [preferred, { ...preferred, proxyPort: anyFreePort }, { ...preferred, adminPort: anyFreePort }];
  for (const ports of choices) {
    try {
      return await startOn(demoConfig({ ...input, ...ports }), warmUp);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
    }
  }
  return startOn(demoConfig({ ...input, proxyPort: anyFreePort, adminPort: anyFreePort }), warmUp);
}

const anyFreePort = 0;

function startOn(text: string, warmUp: WarmUpSpec | undefined): Promise<App> {
  return App.start({
    source: { kind: "text", name: "(demo)", text },
    env: {},
    // Log lines would break the table, which shows everything below error level itself.
    logLevel: "error",
    drainDelayMs: 0,
    drainTimeoutMs: 0,
    accessLogTo: devNull,
    warmUp,
  });
}

function demoConfig({ proxyPort, adminPort, tokenFile, origins, split, steps }: DemoConfigInput): string {
  return `listeners:
  - { name: web, address: "127.0.0.1:${proxyPort}" }
admin: { address: "127.0.0.1:${adminPort}", tokenFile: ${JSON.stringify(tokenFile)} }
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
${steps === undefined ? "" : rolloutConfig(steps)}
routes:
  - { name: shop, service: shop, release: shop }
`;
}

function rolloutConfig(steps: readonly DemoStep[]): string {
  return `    rollout:
      id: "${demoVersions[1].number}"
      candidate: canary
      steps:
${steps.map(({ weight, hold }) => `        - { weight: ${weight}, hold: ${hold} }\n`).join("")}      checks:
        - { name: errors, metric: errors }
        - { name: slow, metric: slow, over: 500ms }
`;
}

function originOf({ listeners }: App): string {
  const address = listeners[0]?.address;
  return `http://127.0.0.1:${typeof address === "object" ? address.port : ""}`;
}
