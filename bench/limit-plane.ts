/** The data plane of `limit-cost.ts`: one route without a limit, one with its own, one with a shared one. */
import { randomBytes } from "node:crypto";
import { InProcessDataPlane } from "../src/app/in-process-data-plane.ts";
import { loadConfigText } from "../src/config/load.ts";
import { ticketKeyBytes } from "../src/listener/tls.ts";
import { createLogger } from "../src/observe/log.ts";
import { rateLimitGroup } from "../src/observe/route-stats.ts";
import { StatsRegistry } from "../src/observe/stats-registry.ts";
import { endWithParent, tellParent } from "./parent.ts";

export interface LimitPlaneListening {
  readonly port: number;
}
export interface LimitPlaneAccount {
  /** User and system time since its start. */
  readonly cpuMs: number;
  /** Requests of the shared limit that Redis did not count. */
  readonly fallbacks: number;
}

const limit = "by: user, requests: 1000000, per: 1s";
const configText = `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
fastLane: on
accessLog: { sample: 0 }
attributes: { user: { type: string, from: [{ header: x-user-id }] } }
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:${process.env["BENCH_STABLE_PORT"]}"] } } } }
routes:
  - { name: own, match: { path: { prefix: /own } }, service: shop, rateLimit: { ${limit} } }
  - name: shared
    match: { path: { prefix: /shared } }
    service: shop
    rateLimit: { ${limit}, shared: { redis: "redis://127.0.0.1:${process.env["BENCH_REDIS_PORT"]}", timeout: 1s } }
  - { name: unlimited, service: shop }
`;

const loaded = loadConfigText(configText, { file: "bench.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
const stats = new StatsRegistry();
const plane = new InProcessDataPlane({
  first: loaded,
  stats,
  accessLines: { write: () => {}, flush: async () => {}, close: async () => {} },
  log: createLogger({ level: "silent", nowMs: () => Date.now() }),
  ticketKeys: randomBytes(ticketKeyBytes),
  planes: 1,
  onRolloutReport: () => {},
  onDecisions: () => {},
});

endWithParent();
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  const fallbacks = stats.all(rateLimitGroup).get("shared")?.fallbacks.value ?? 0;
  tellParent({ cpuMs: (user + system) / 1_000, fallbacks } satisfies LimitPlaneAccount);
});
const [bound] = await plane.listen();
const port = typeof bound?.address === "object" ? bound.address.port : 0;
tellParent({ port } satisfies LimitPlaneListening);
