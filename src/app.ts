import { randomBytes, randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { createAdminServer } from "./admin/server.ts";
import { adminView } from "./admin-view.ts";
import type { BindAddress } from "./config/compiled-config.ts";
import { formatDiagnostic } from "./config/diagnostics.ts";
import { type LoadResult, loadConfigFile, loadConfigText } from "./config/load.ts";
import { FileWatcher } from "./config/watch.ts";
import { DeadBuffers } from "./dead-buffers.ts";
import { Lanes } from "./lanes.ts";
import { Listener } from "./listener.ts";
import { AccessLog } from "./observe/access-log.ts";
import { CellRegistry } from "./observe/cells.ts";
import { createLogger, type Logger, type LogLevel } from "./observe/log.ts";
import { LogDestination } from "./observe/log-destination.ts";
import { Observer } from "./observe/observe.ts";
import { ActiveSnapshot } from "./proxy/active-snapshot.ts";
import type { Gateway } from "./proxy/gateway.ts";
import { batchedRandom } from "./random-source.ts";
import { type LoadedConfig, Reloader } from "./reloader.ts";
import { EndpointRegistry } from "./upstream/endpoint-registry.ts";

/** Where the configuration comes from: a file, watched and reloaded, or a text made from flags. */
export type ConfigSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "text"; readonly name: string; readonly text: string };

export interface AppOptions {
  readonly source: ConfigSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
  /** After the signal to stop: serve on for this long while not ready, so that load balancers notice. */
  readonly drainDelayMs: number;
  /** Then let requests under way finish for this long. */
  readonly drainTimeoutMs: number;
  /** File descriptor or path of the access log. Default 1, stdout. */
  readonly accessLogTo?: number | string;
}

/** Perch can not start as told; each problem is a line for the person who started it. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

export interface BoundListener {
  readonly name: string;
  readonly address: AddressInfo;
}

/** The composition root: builds every part, wires them, and ends them in order. */
export class App {
  readonly listeners: readonly BoundListener[];
  readonly adminAddress: AddressInfo;
  readonly log: Logger;
  readonly #parts: Parts;
  readonly #options: AppOptions;
  #drained: Promise<void> | undefined;

  private constructor(
    options: AppOptions,
    parts: Parts,
    listeners: readonly BoundListener[],
    adminAddress: AddressInfo,
  ) {
    this.#options = options;
    this.#parts = parts;
    this.log = parts.log;
    this.listeners = listeners;
    this.adminAddress = adminAddress;
  }

  /** Resolves once every listener accepts. Rejects with a `StartError`, everything freed, where that can not be. */
  static async start(options: AppOptions): Promise<App> {
    const log = createLogger({ level: options.logLevel, nowMs });
    // The watch stands before the first load, so that a change in between is seen as one.
    const watcher = watch(options.source, log);
    const load = loader(options);
    const first = load();
    if (!first.ok) {
      watcher?.close();
      throw new StartError(first.problems.map(formatDiagnostic));
    }
    const parts = build({ options, log, watcher, load, first });
    try {
      const adminAddress = await bindAdmin(parts.admin, first.compiled.admin);
      const listeners: BoundListener[] = [];
      for (const { name, listener, spec } of parts.listeners) {
        listeners.push({ name, address: await bound(`listener "${name}"`, spec, () => listener.listen()) });
      }
      for (const warning of first.warnings) log.warn({ problem: formatDiagnostic(warning) }, "configuration warning");
      const at = listeners.map(({ name, address }) => `${name} ${formatAddress(address)}`);
      log.info({ listeners: at, admin: formatAddress(adminAddress), hash: first.hash }, "serving");
      return new App(options, parts, listeners, adminAddress);
    } catch (error) {
      await release(parts);
      throw error;
    }
  }

  /** Looks at the configuration's files now, as SIGHUP asks. */
  reload(): void {
    this.#parts.reloader.reload();
  }

  /**
   * Stops without failing a request: not ready, serve on for the delay with `Connection: close` on every answer, stop
   * accepting, let what is under way finish until the timeout, then break it off. Calling again waits for the same end.
   */
  drain(why: string): Promise<void> {
    this.#drained ??= this.#drain(why);
    return this.#drained;
  }

  async #drain(why: string): Promise<void> {
    const { lifecycle, listeners, log } = this.#parts;
    const { drainDelayMs, drainTimeoutMs } = this.#options;
    log.info({ why, drainDelayMs, drainTimeoutMs }, "draining");
    lifecycle.draining = true;
    await elapsed(drainDelayMs);
    const finished = Promise.all(listeners.map(({ listener }) => listener.close()));
    const timer = setTimeout(() => {
      log.warn({ drainTimeoutMs }, "drain timeout: requests still under way are broken off");
      for (const { listener } of listeners) listener.destroy();
    }, drainTimeoutMs);
    await finished;
    clearTimeout(timer);
    log.info("drained");
  }

  /** Frees everything at once; what is under way breaks off. */
  async stop(): Promise<void> {
    await release(this.#parts);
  }
}

interface Parts {
  readonly log: Logger;
  readonly reloader: Reloader;
  readonly watcher: Watcher | undefined;
  readonly admin: FastifyInstance;
  readonly listeners: readonly { readonly name: string; readonly spec: BindAddress; readonly listener: Listener }[];
  readonly lanes: Lanes;
  readonly accessLog: AccessLog;
  readonly lifecycle: { draining: boolean };
}

const nowMs = () => Date.now();

interface Foundation {
  readonly options: AppOptions;
  readonly log: Logger;
  readonly watcher: Watcher | undefined;
  readonly load: () => LoadResult;
  readonly first: LoadedConfig;
}

function build({ options, log, watcher, load, first }: Foundation): Parts {
  const cells = new CellRegistry();
  const lanes = new Lanes();
  const endpoints = new EndpointRegistry((endpoint) => lanes.retire(endpoint));
  const active = new ActiveSnapshot(cells, endpoints, first.compiled, first.hash);
  const accessLog = new AccessLog({
    destination: new LogDestination({
      to: options.accessLogTo ?? 1,
      dropped: cells.accessLogDropped,
      onTrouble: (error) => log.error({ error: error.message }, "the access log can not be written"),
    }),
    sample: first.compiled.accessLog.sample,
    nowMs,
  });
  const lifecycle = { draining: false };
  const deadBuffers = new DeadBuffers();
  const gateway: Gateway = {
    get snapshot() {
      return active.current;
    },
    get draining() {
      return lifecycle.draining;
    },
    observer: new Observer(accessLog),
    nowMs,
    monotonicMs: () => performance.now(),
    randomFraction: Math.random,
    randomUnit: batchedRandom(),
    newRequestId: randomUUID,
    streamed: (bytes) => deadBuffers.passed(bytes),
    defect: (error) => log.error({ err: error }, "a request failed by a defect of Perch"),
  };
  const listeners = first.compiled.listeners.map((spec) => ({
    name: spec.name,
    spec,
    listener: new Listener(gateway, lanes, spec),
  }));
  const reloader = new Reloader(
    {
      file: sourceName(options.source),
      load,
      active,
      cells: cells.reloads,
      log,
      nowMs,
      onLoaded: ({ compiled }) => {
        accessLog.sample = compiled.accessLog.sample;
        for (const { listener } of listeners) listener.snapshotChanged(active.current);
      },
      onFiles: (files) => watcher?.alsoWatch(files),
    },
    first,
  );
  watcher?.alsoWatch(first.compiled.files);
  watcher?.onChange(() => reloader.reload());
  const fromFile = options.source.kind === "file";
  const admin = createAdminServer(adminView({ cells, endpoints, active, reloader, lifecycle, gateway, fromFile }), {
    listenHost: first.compiled.admin.host,
    onFailure: (error) => log.error({ err: error }, "the admin server failed to answer"),
  });
  return { log, reloader, watcher, admin, listeners, lanes, accessLog, lifecycle };
}

function loader({ source, env }: AppOptions): () => LoadResult {
  // One random secret for the life of the process: a reload must not void the pins that it signed before.
  const secrets = new Map<string, Uint8Array>();
  const randomSecret = (release: string): Uint8Array => {
    const secret = secrets.get(release) ?? randomBytes(32);
    secrets.set(release, secret);
    return secret;
  };
  if (source.kind === "file") return () => loadConfigFile(source.path, { env, randomSecret });
  return () => loadConfigText(source.text, { file: source.name, env, randomSecret });
}

/** The configuration's file, and those it names, as far as they are known. */
interface Watcher {
  alsoWatch(files: readonly string[]): void;
  /** Says who is told. A change since the watch began is told at once. */
  onChange(listener: () => void): void;
  close(): void;
}

function watch(source: ConfigSource, log: Logger): Watcher | undefined {
  if (source.kind === "text") return undefined;
  let listener: (() => void) | undefined;
  const files = new FileWatcher({
    files: [source.path],
    onChange: () => listener?.(),
    onWarning: (message) => log.warn(message),
  });
  return {
    alsoWatch: (others) => files.setFiles([source.path, ...others]),
    onChange(next) {
      listener = next;
      files.check();
    },
    close: () => files.close(),
  };
}

function sourceName(source: ConfigSource): string {
  return source.kind === "file" ? source.path : source.name;
}

function bindAdmin(admin: FastifyInstance, address: BindAddress): Promise<AddressInfo> {
  return bound("admin server", address, async () => {
    await admin.listen({ host: address.host, port: address.port });
    return admin.server.address() as AddressInfo;
  });
}

/** Turns what the system says about an address into a line that says what to do. */
async function bound(
  what: string,
  { host, port }: BindAddress,
  listen: () => Promise<AddressInfo>,
): Promise<AddressInfo> {
  try {
    return await listen();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = bindHints[code] ?? code;
    throw new StartError([`perch: ${what} can not listen on ${host}:${port}: ${hint}`]);
  }
}

const bindHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use (EADDRINUSE); stop the other process or choose another port",
  EACCES: "permission denied (EACCES); ports below 1024 need a privilege, choose a higher one",
  EADDRNOTAVAIL: "this machine has no such address (EADDRNOTAVAIL)",
  ENOTFOUND: "the host name is not known (ENOTFOUND)",
};

function formatAddress({ address, port, family }: AddressInfo): string {
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}

async function release(parts: Parts): Promise<void> {
  parts.watcher?.close();
  for (const { listener } of parts.listeners) listener.destroy();
  await Promise.all(parts.listeners.map(({ listener }) => listener.close()));
  await parts.lanes.destroy();
  // Whoever reads the log may have stopped reading: what cannot be written in this time never will be.
  await Promise.race([parts.accessLog.close(), elapsed(lastWriteMs, "lets it end")]);
  await parts.admin.close();
}

const lastWriteMs = 1_000;

function elapsed(ms: number, timer: "holds the process" | "lets it end" = "holds the process"): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, ms);
  if (timer === "lets it end") timeout.unref();
  return promise;
}
