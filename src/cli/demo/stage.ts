import { devNull } from "node:os";
import { App, StartError } from "../../app.ts";
import { type DemoConfigInput, type DemoSplit, demoConfig, demoVersions } from "./demo-config.ts";
import { startDemoUpstream } from "./demo-upstream.ts";

const usualProxyPort = 8080;
const usualAdminPort = 9901;
const anyFreePort = 0;

/** Everything that the crowd visits: the versions, and Perch in front of them. */
export interface Stage {
  readonly proxyOrigin: string;
  readonly adminOrigin: string;
  /** Frees every port; what is under way breaks off. */
  close(): Promise<void>;
}

export interface StageOptions {
  readonly split: DemoSplit;
  /** `usual`: 8080 and 9901, each replaced by a free one where it is taken. */
  readonly ports: "usual" | "free";
}

/** Starts the versions, then Perch. Rejects with a `StartError`, everything freed, where Perch can not start. */
export async function startStage({ split, ports }: StageOptions): Promise<Stage> {
  const [stable, canary] = await Promise.all([startDemoUpstream(demoVersions[0]), startDemoUpstream(demoVersions[1])]);
  const closeUpstreams = () => Promise.all([stable.close(), canary.close()]);
  try {
    const origins = { stable: stable.origin, canary: canary.origin };
    const app = await startApp({ origins, split }, ports);
    return {
      proxyOrigin: `http://127.0.0.1:${app.listeners[0]?.address.port}`,
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

/** Tries instead of asking first whether a port is free: the answer could be wrong by the time it is used. */
async function startApp(
  input: Omit<DemoConfigInput, "proxyPort" | "adminPort">,
  ports: StageOptions["ports"],
): Promise<App> {
  const usual = [
    { proxyPort: usualProxyPort, adminPort: usualAdminPort },
    { proxyPort: anyFreePort, adminPort: usualAdminPort },
    { proxyPort: usualProxyPort, adminPort: anyFreePort },
  ];
  for (const choice of ports === "usual" ? usual : []) {
    try {
      return await startOn(demoConfig({ ...input, ...choice }));
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
