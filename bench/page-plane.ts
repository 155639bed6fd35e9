/** The Perch of `page-cost.ts`, whole, with one worker: it tells its own CPU time when it is asked. */
import { App } from "../src/app/app.ts";
import { endWithParent, tellParent } from "./parent.ts";

export interface PagePlaneListening {
  readonly port: number;
  readonly adminPort: number;
}
export interface PagePlaneAccount {
  /** User and system time of all its threads since its start. */
  readonly cpuMs: number;
}

const configText = `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
workers: 1
fastLane: on
accessLog: { sample: 0 }
attributes:
  region:       { type: string, from: [{ header: x-user-region }] }
  registeredAt: { type: time,   from: [{ header: x-user-registered-at }] }
services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["http://127.0.0.1:${process.env["BENCH_STABLE_PORT"]}"] }
      canary: { endpoints: ["http://127.0.0.1:${process.env["BENCH_CANARY_PORT"]}"] }
releases:
  shop:
    rules:
      - { name: new-in-the-east, when: { region: cn-east, registeredAt: { after: 2026-01-01T00:00:00Z } }, use: canary }
    split: { stable: 100, canary: 0 }
    rollout: { id: "1", candidate: canary, steps: [{ weight: 10, hold: 12h }, { weight: 50, hold: 12h }] }
routes: [{ name: all, service: shop, release: shop }]
`;

const app = await App.start({
  source: { kind: "text", name: "bench.yaml", text: configText },
  env: {},
  logLevel: "error",
  drainDelayMs: 0,
  drainTimeoutMs: 0,
});
endWithParent();
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  tellParent({ cpuMs: (user + system) / 1_000 } satisfies PagePlaneAccount);
});
const [bound] = app.listeners;
const port = typeof bound?.address === "object" ? bound.address.port : 0;
tellParent({ port, adminPort: app.adminAddress.port } satisfies PagePlaneListening);
