import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { createAdminServer } from "../admin/server.ts";
import type { BindAddress } from "../config/compiled-config.ts";
import { DatabaseFile } from "../config/database-file.ts";
import { type LoadedConfig, type LoadResult, loadConfigFile, loadConfigText } from "../config/load.ts";
import { formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { FileWatcher } from "../config/watch.ts";
import { ticketKeyBytes } from "../listener/tls.ts";
import { createLogger, type Logger, type LogLevel } from "../observe/log.ts";
import { LogDestination } from "../observe/log-destination.ts";
import { StatsRegistry } from "../observe/stats-registry.ts";
import type { BoundListener } from "../workers/messages.ts";
import { workerCount } from "../workers/worker-count.ts";
import { adminView } from "./admin-view.ts";
import { warnOfExpiry } from "./certificate-expiries.ts";
import { bound, type DataPlane, formatAddress, StartError } from "./data-plane.ts";
import { InProcessDataPlane } from "./in-process-data-plane.ts";
import { batchedRandom } from "./random.ts";
import { Reloader } from "./reloader.ts";
import { WorkerDataPlane } from "./worker-data-plane.ts";

export { StartError };

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
  /** For tests that make a worker fail: what runs in each, and its heap's size. */
  readonly workerFaults?: { readonly entry?: URL; readonly heapMb?: number };
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
    const loader = createLoader(options);
    const first = await loader.load();
    if (!first.ok) {
      watcher?.close();
      throw new StartError(first.problems.map(formatDiagnostic));
    }
    const size = await workerCount(first.compiled, log);
    const parts = build({ options, log, watcher, loader, first, size });
    try {
      const adminAddress = await bindAdmin(parts.admin, first.compiled.admin);
      const listeners = await parts.serving.listen();
      for (const warning of first.warnings) log.warn({ problem: formatDiagnostic(warning) }, "configuration warning");
      const at = listeners.map(({ name, address }) => `${name} ${formatAddress(address)}`);
      const workers = size === 1 ? undefined : size;
      log.info({ listeners: at, admin: formatAddress(adminAddress), hash: first.hash, workers }, "serving");
      return new App(options, parts, listeners, adminAddress);
    } catch (error) {
      await release(parts);
      throw error;
    }
  }

  /** Looks at the configuration's files now, as SIGHUP asks. */
  reload(): void {
    void this.#parts.reloader.reload();
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
    const { lifecycle, serving, log } = this.#parts;
    const { drainDelayMs, drainTimeoutMs } = this.#options;
    log.info({ why, drainDelayMs, drainTimeoutMs }, "draining");
    lifecycle.draining = true;
    serving.drain();
    await elapsed(drainDelayMs);
    const finished = serving.close();
    const timer = setTimeout(() => {
      log.warn({ drainTimeoutMs }, "drain timeout: requests still under way are broken off");
      serving.abort();
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
  readonly serving: DataPlane;
  readonly accessLines: LogDestination;
  readonly lifecycle: { draining: boolean };
  /** Says once a day which certificates end soon. */
  readonly certificates: NodeJS.Timeout;
}

const dayMs = 86_400_000;
const nowMs = () => Date.now();

interface Foundation {
  readonly options: AppOptions;
  readonly log: Logger;
  readonly watcher: Watcher | undefined;
  readonly loader: Loader;
  readonly first: LoadedConfig;
  /** How many threads serve; 1: this one. */
  readonly size: number;
}

function build(foundation: Foundation): Parts {
  const { options, log, watcher, loader, first } = foundation;
  const stats = new StatsRegistry();
  const accessLines = new LogDestination({
    to: options.accessLogTo ?? 1,
    dropped: stats.accessLog.dropped,
    onTrouble: (error) => log.error({ error: error.message }, "the access log can not be written"),
  });
  const serving = createServing(foundation, stats, accessLines);
  const lifecycle = { draining: false };
  const file = sourceName(options.source);
  const reloader = new Reloader(
    {
      file,
      load: loader.load,
      prepare: (loaded) => serving.prepare(loaded),
      stats: stats.reloads,
      log,
      nowMs,
      onFiles: (files) => watcher?.alsoWatch(files),
    },
    first,
  );
  watcher?.alsoWatch(first.compiled.files);
  watcher?.onChange(() => void reloader.reload());
  const fromFile = options.source.kind === "file";
  const view = adminView({ stats, serving, reloader, lifecycle, nowMs, random: batchedRandom(), fromFile });
  const admin = createAdminServer(view, {
    listenHost: first.compiled.admin.host,
    access: () => serving.active.current.config.adminAccess,
    monotonicMs: () => performance.now(),
    onFailure: (error) => log.error({ err: error }, "the admin server failed to answer"),
  });
  const warn = () => warnOfExpiry(serving.active.current.config.listeners, nowMs(), log);
  const certificates = setInterval(warn, dayMs).unref();
  return { log, reloader, watcher, admin, serving, accessLines, lifecycle, certificates };
}

function createServing(foundation: Foundation, stats: StatsRegistry, accessLines: LogDestination): DataPlane {
  const { options, log, loader, first, size } = foundation;
  const ticketKeys = randomBytes(ticketKeyBytes);
  if (size === 1) return new InProcessDataPlane({ first, stats, accessLines, log, ticketKeys, planes: 1 });
  const { logLevel, env, source, workerFaults } = options;
  const { secrets } = loader;
  return new WorkerDataPlane({
    size,
    first,
    stats,
    accessLines,
    log,
    logLevel,
    env,
    file: sourceName(source),
    secrets,
    ticketKeys,
    ...workerFaults,
  });
}

interface Loader {
  readonly load: () => Promise<LoadResult>;
  /** One random secret a release for the life of the process: a reload must not void the pins that it signed before. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
}

function createLoader({ source, env }: AppOptions): Loader {
  const secrets = new Map<string, Uint8Array>();
  const randomSecret = (release: string): Uint8Array => {
    const secret = secrets.get(release) ?? randomBytes(32);
    secrets.set(release, secret);
    return secret;
  };
  const database = new DatabaseFile();
  const options = { env, randomSecret, nowMs, openDatabase: database.open };
  const look = () =>
    source.kind === "file"
      ? loadConfigFile(source.path, options)
      : loadConfigText(source.text, { ...options, file: source.name });
  return { secrets, load: () => loadWhole(look, database) };
}

/** How often a load is tried whose database changes while it is read. */
const maxLooks = 5;

/** Looks again with the database that the look before lacked, since a load waits for nothing. */
async function loadWhole(look: () => LoadResult, database: DatabaseFile): Promise<LoadResult> {
  let result = look();
  for (let looks = 1; looks < maxLooks && (await database.readMissing()); looks++) result = look();
  return result;
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

async function release({ watcher, serving, accessLines, admin, certificates }: Parts): Promise<void> {
  watcher?.close();
  clearInterval(certificates);
  await serving.dispose();
  // Whoever reads the log may have stopped reading: what cannot be written in this time never will be.
  await Promise.race([accessLines.close(), elapsed(lastWriteMs, "lets it end")]);
  await admin.close();
}

const lastWriteMs = 1_000;

function elapsed(ms: number, timer: "holds the process" | "lets it end" = "holds the process"): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, ms);
  if (timer === "lets it end") timeout.unref();
  return promise;
}
