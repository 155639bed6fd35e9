import { devNull } from "node:os";
import { App, StartError } from "../../app.ts";
import { type DemoConfigInput, type DemoSplit, demoConfig, demoVersions } from "./demo-config.ts";
import { startDemoUpstream } from "./demo-upstream.ts";

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
