import { App, type AppOptions, type WorkerSpec } from "../../src/app/app.ts";

export interface AdminClient {
  /** Fetches from the admin server. */
  admin(path: string): Promise<Response>;
  /** The value of one series of `/metrics`, by its text up to the value; undefined where it is not exported. */
  metric(series: string): Promise<number | undefined>;
}

export interface TestPerch extends AdminClient {
  readonly app: App;
  readonly origin: string;
  readonly port: number;
  readonly adminOrigin: string;
  stop(): Promise<void>;
}

export function adminClient(origin: string): AdminClient {
  const admin = (path: string) => fetch(origin + path);
  return {
    admin,
    async metric(series) {
      const lines = (await (await admin("/metrics")).text()).split("\n");
      const line = lines.find((candidate) => candidate.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
  };
}

export interface TestPerchOptions extends Partial<AppOptions> {
  /** The configuration's listeners. Default: one on 127.0.0.1. */
  readonly listeners?: string;
  readonly worker?: WorkerSpec;
}

/** Perch in this process, on free ports, from a configuration without `listeners` and `admin`. */
export async function startPerch(yaml: string, given: TestPerchOptions = {}): Promise<TestPerch> {
  const { listeners = `{ name: web, address: "127.0.0.1:0" }`, worker, ...options } = given;
  const text = `listeners: [${listeners}]\nadmin: { address: "127.0.0.1:0" }\n${yaml}`;
  const settings: AppOptions = {
    source: { kind: "text", name: "test.yaml", text },
    env: {},
    logLevel: "silent",
    drainDelayMs: 0,
    drainTimeoutMs: 5_000,
    accessLogTo: "/dev/null",
    ...options,
  };
  const app = await App.start(settings, worker);
  const address = app.listeners[0]?.address;
  const port = typeof address === "object" ? address.port : 0;
  const adminOrigin = `http://127.0.0.1:${app.adminAddress.port}`;
  return {
    app,
    origin: `http://127.0.0.1:${port}`,
    port,
    adminOrigin,
    ...adminClient(adminOrigin),
    stop: () => app.stop(),
  };
}
