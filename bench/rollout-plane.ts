/** The data plane of `rollout-cost.ts`: it is directed, and tells its own CPU time. */
import { randomBytes } from "node:crypto";
import { InProcessDataPlane } from "../src/app/in-process-data-plane.ts";
import { loadConfigText } from "../src/config/load.ts";
import type { ReleaseTraffic } from "../src/decide/release-traffic.ts";
import { ticketKeyBytes } from "../src/listener/tls.ts";
import { createLogger } from "../src/observe/log.ts";
import { StatsRegistry } from "../src/observe/stats-registry.ts";
import { endWithParent, tellParent } from "./parent.ts";

export type RolloutMode = "split" | "rollout";
export interface RolloutPlaneListening {
  readonly port: number;
}
export interface RolloutPlaneAccount {
  /** User and system time since its start. */
  readonly cpuMs: number;
  /** Sightings that were handed over so far. */
  readonly sightings: number;
}

const configText = `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
fastLane: on
accessLog: { sample: 0 }
releases: { shop: { split: { stable: 90, canary: 10 } } }
services:
  shop:
    versions:
      stable: { endpoints: ["http://127.0.0.1:${process.env["BENCH_STABLE_PORT"]}"] }
      canary: { endpoints: ["http://127.0.0.1:${process.env["BENCH_CANARY_PORT"]}"] }
routes: [{ name: all, service: shop, release: shop }]
`;

const running: ReleaseTraffic = {
  split: undefined,
  rollout: { id: "1", baseline: "stable", candidate: "canary", candidateIs: "drawn", step: 0, weight: 10, rings: [] },
};
/** All that a rollout can ask. */
const questions = {
  failures: new Set([500, 502, 503, 504]),
  slowLimitsMs: [800, 2_000],
  wantsBaselineDurations: true,
};

let sightings = 0;
const loaded = loadConfigText(configText, { file: "bench.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
const plane = new InProcessDataPlane({
  first: loaded,
  stats: new StatsRegistry(),
  accessLines: { write: () => {}, flush: async () => {}, close: async () => {} },
  log: createLogger({ level: "silent", nowMs: () => Date.now() }),
  ticketKeys: randomBytes(ticketKeyBytes),
  planes: 1,
  onRolloutReport: (report) => {
    sightings += report.sightings.length;
  },
  onDecisions: () => {},
});

endWithParent();
process.on("message", async ({ mode }: { readonly mode: RolloutMode | undefined }) => {
  const traffic = new Map(mode === "rollout" ? [["shop", running]] : []);
  if (mode !== undefined) await plane.direct({ traffic, questions: new Map([["shop", questions]]) });
  const { user, system } = process.cpuUsage();
  tellParent({ cpuMs: (user + system) / 1_000, sightings } satisfies RolloutPlaneAccount);
});
const [bound] = await plane.listen();
const port = typeof bound?.address === "object" ? bound.address.port : 0;
tellParent({ port } satisfies RolloutPlaneListening);
