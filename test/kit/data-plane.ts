import { randomBytes } from "node:crypto";
import { InProcessDataPlane } from "../../src/app/in-process-data-plane.ts";
import { loadConfigText } from "../../src/config/load.ts";
import { ticketKeyBytes } from "../../src/listener/tls.ts";
import type { LineDestination } from "../../src/observe/access-log.ts";
import { createLogger } from "../../src/observe/log.ts";
import type { RolloutReport } from "../../src/observe/rollout/rollout-report.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { freeAfterTest } from "./freed.ts";

export interface TestDataPlane {
  readonly plane: InProcessDataPlane;
  readonly origin: string;
  readonly port: number;
  /** Lines of the access log, parsed. */
  readonly lines: Readonly<Record<string, unknown>>[];
  /** What its own log got. */
  readonly logged: string[];
}

/**
 * A data plane on a free port, without an admin server, from a configuration without listeners. `listener`: further keys
 * of the listener.
 */
export async function dataPlane(
  yaml: string,
  onRolloutReport: (report: RolloutReport) => void,
  listener = "",
): Promise<TestDataPlane> {
  const text = `listeners: [{ name: web, address: "127.0.0.1:0", ${listener} }]\n${yaml}`;
  const secret = new Uint8Array(32);
  const files = { readFile: () => secret, randomSecret: () => secret };
  const loaded = loadConfigText(text, { file: "test.yaml", env: {}, ...files });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  const lines: Readonly<Record<string, unknown>>[] = [];
  const logged: string[] = [];
  const accessLines: LineDestination = {
    write: (line) => void lines.push(JSON.parse(line)),
    flush: async () => {},
    close: async () => {},
  };
  const plane = new InProcessDataPlane({
    first: loaded,
    stats: new StatsRegistry(),
    accessLines,
    log: createLogger({ level: "info", nowMs: () => Date.now(), to: { write: (line) => void logged.push(line) } }),
    ticketKeys: randomBytes(ticketKeyBytes),
    planes: 1,
    onRolloutReport,
    onDecisions: () => {},
  });
  freeAfterTest(() => plane.dispose());
  const [bound] = await plane.listen();
  const port = typeof bound?.address === "object" ? bound.address.port : 0;
  return { plane, origin: `http://127.0.0.1:${port}`, port, lines, logged };
}
