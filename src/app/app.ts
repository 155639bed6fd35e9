import { randomBytes, randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { devNull } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import type { LiveView } from "../admin/live/live-view.ts";
import { createAdminServer } from "../admin/server.ts";
import type { LoadedConfig, LoadResult } from "../config/load.ts";
import { diagnoseFile, errorsOf, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { formatDuration } from "../config/schema-kit/scalars.ts";
import { ticketKeyBytes } from "../listener/tls.ts";
import { descriptorOf } from "../node-internals.ts";
import { ActivityLog } from "../observe/live/activity-log.ts";
import type { DecisionBatch } from "../observe/live/decision-tail.ts";
import { createLogger, type Logger, type LogLevel } from "../observe/log.ts";
import { LogDestination } from "../observe/log-destination.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import { StatsRegistry } from "../observe/stats-registry.ts";
import { upstreamGroup } from "../observe/upstream-stats.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import { scheduleUnref } from "../upstream/clock.ts";
import { descriptorReserve } from "../upstream/descriptor-reserve.ts";
import type { BoundListener, WarmUpSpec } from "../workers/messages.ts";
import { workerCount } from "../workers/worker-count.ts";
import { adminView } from "./admin-view.ts";
import { bindAdmin } from "./bind-admin.ts";
import { warnOfExpiry } from "./certificate-expiries.ts";
import {
  type ConfigSource,
  createLoader,
  type LoaderMemory,
  type LoaderOptions,
  noMemory,
  sourceName,
  type Watcher,
  watch,
} from "./config-source.ts";
import { ConfigThread } from "./config-thread.ts";
import { type DataPlane, formatAddress, StartError } from "./data-plane.ts";
import type { GatewaySource } from "./gateway/gateway-source.ts";
import { InProcessDataPlane } from "./in-process-data-plane.ts";
import { ConfigObjects } from "./kubernetes/config-objects.ts";
import { SliceSource } from "./kubernetes/slice-source.ts";
import { Live } from "./live.ts";
import { auditEntry, reloadEntry, startEntry } from "./live-entries.ts";
import { missingNodeInternals } from "./missing-internals.ts";
import { loadPage } from "./page/load-page.ts";
import { PlanThread } from "./plan-thread.ts";
import { batchedRandom } from "./random.ts";
import { Reloader } from "./reloader.ts";
import { RunningRollouts } from "./rollouts.ts";
import { warmUp } from "./warm-up.ts";
import { WorkerDataPlane, type WorkerDataPlaneParts } from "./worker-data-plane.ts";

export { StartError };

export interface AppOptions {
  readonly source: ConfigSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
  /** After the stop signal, keep serving for this long while not ready, so that load balancers notice. */
  readonly drainDelayMs: number;
  /** Then wait this long for requests in flight. */
  readonly drainTimeoutMs: number;
  /** Where `state.json` is kept if the configuration names no state file; undefined: nowhere. */
  readonly stateDir?: string | undefined;
  /** File descriptor or path of the access log. Default: 1, stdout. */
  readonly accessLogTo?: number | string;
  /** What is exercised before Perch is ready. Default: nothing. */
  readonly warmUp?: WarmUpSpec | undefined;
}

/** What each worker thread runs, and its heap. */
export type WorkerSpec = Pick<WorkerDataPlaneParts, "entry" | "heapMb">;

/** The composition root: builds and wires all parts, and stops them in order. */
export class App {
  readonly listeners: readonly BoundListener[];
  readonly adminAddress: AddressInfo;
  readonly log: Logger;
  readonly #parts: Parts;
  readonly #options: AppOptions;
  readonly #stopped = new AbortController();
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

  /**
   * Resolves once every listener accepts connections. Rejects with a `StartError` after freeing everything. `worker`
   * replaces what worker threads run by default.
   */
  static async start(options: AppOptions, worker: WorkerSpec = {}): Promise<App> {
    const log = createLogger({ level: options.logLevel, nowMs });
    const objects = await ConfigObjects.open({ ...options, log });
    // Watch before the first load, so that a change in between is not missed.
    const watcher = watch(options.source, objects, log);
    let memory = noMemory;
    // In this thread, since nothing is served yet.
    const loadWith = (gateway: GatewaySource | undefined) =>
      objects.load(async () => {
        const loader = createLoader(loaderOptions(options, objects, gateway), nowMs, memory);
        const result = await loader.load();
        memory = loader.memory();
        return result;
      });
    const written = await loadWith(undefined);
    const leader = { isLeading: () => true };
    const gateway = await followedGateway(options, written, objects, leader, log).catch(async (error) => {
      await watcher.close();
      throw error;
    });
    const first = gateway === undefined ? written : await loadWith(gateway);
    if (!first.ok) {
      await gateway?.close();
      await watcher.close();
      throw new StartError(errorsOf(first.problems).map(formatDiagnostic));
    }
    const { env, stateDir } = options;
    const slices = new SliceSource({ env, log });
    const unfound = await slices.load(first.compiled);
    if (unfound !== undefined) {
      await watcher.close();
      throw new StartError([`perch: ${unfound}`]);
    }
    const size = await workerCount(first.compiled, log);
    const { sharedState } = first.compiled;
    const stateFile = stateFileOf(options, first);
    const rollouts = await RunningRollouts.open({ stateFile, stateDir, sharedState, env, log, nowMs }).catch(
      async (error) => {
        await slices.close();
        await gateway?.close();
        await watcher.close();
        throw error;
      },
    );
    const { replicas } = rollouts;
    if (replicas !== undefined) leader.isLeading = () => replicas.rollouts.isLeading;
    const parts = build({ options, objects, gateway, worker, log, watcher, memory, first, size, rollouts, slices });
    try {
      await rollouts.begin(first, parts.dataPlane);
      const adminAddress = await bindAdmin(parts.admin, first.compiled.admin);
      rollouts.replicas?.join(adminAddress);
      if (size === 1 && options.warmUp !== undefined) await warmUp(options.warmUp, first.compiled, toNowhere(), log);
      const listeners = await parts.dataPlane.listen();
      parts.tellGateway();
      for (const warning of first.warnings) log.warn({ problem: formatDiagnostic(warning) }, "configuration warning");
      const at = listeners.map(({ name, address }) => `${name} ${formatAddress(address)}`);
      const workers = size === 1 ? undefined : size;
      log.info({ listeners: at, admin: formatAddress(adminAddress), hash: first.hash, workers }, "serving");
      void warnOfMissingInternals(log);
      return new App(options, parts, listeners, adminAddress);
    } catch (error) {
      await release(parts);
      throw error;
    }
  }

  get rollouts(): Rollouts {
    return this.#parts.rollouts.controller;
  }

  get live(): LiveView {
    return this.#parts.live;
  }

  /** Reloads the configuration, as on SIGHUP. */
  reload(): void {
    this.#parts.reload();
  }

  /**
   * Stops gracefully: reports not ready, keeps serving for the delay with `Connection: close` on every response, stops
   * accepting, waits for requests in flight until the timeout, then aborts them. Further calls wait for the same drain.
   */
  drain(why: string): Promise<void> {
    this.#drained ??= this.#drain(why);
    return this.#drained;
  }

  async #drain(why: string): Promise<void> {
    const { lifecycle, dataPlane, log, rollouts } = this.#parts;
    const { drainDelayMs, drainTimeoutMs } = this.#options;
    const { signal } = this.#stopped;
    log.info({ why, drainDelayMs, drainTimeoutMs }, "draining");
    lifecycle.draining = true;
    dataPlane.drain();
    void rollouts.replicas?.leave();
    await elapsed(drainDelayMs, signal);
    if (signal.aborted) return;
    const finished = dataPlane.close();
    void this.#logAwaited();
    const timer = setTimeout(() => {
      log.warn({ drainTimeoutMs }, "drain timeout: aborting requests in flight");
      dataPlane.abort();
    }, drainTimeoutMs);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
    await finished;
    clearTimeout(timer);
    if (!signal.aborted) log.info("drained");
  }

  /** What the drain waits for, so that it does not look like a hung process. */
  async #logAwaited(): Promise<void> {
    const { dataPlane, log, stats } = this.#parts;
    const { drainTimeoutMs } = this.#options;
    await dataPlane.refresh();
    const inFlight = Array.from(stats.all(upstreamGroup).values(), (version) => version.inFlight.value);
    const requests = inFlight.reduce((sum, count) => sum + count, 0);
    if (requests === 0 || this.#stopped.signal.aborted) return;
    const count = requests === 1 ? "1 request" : `${requests} requests`;
    const text = `waiting for ${count}, up to ${formatDuration(drainTimeoutMs)}; Ctrl-C again stops now`;
    log.info({ requests, drainTimeoutMs }, text);
  }

  /** Stops at once and aborts requests in flight. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await release(this.#parts);
  }
}

interface Parts {
  readonly log: Logger;
  readonly slices: SliceSource;
  readonly stats: StatsRegistry;
  readonly reload: () => void;
  /** Tells the source of Gateways what became of what it gave. */
  readonly tellGateway: () => void;
  readonly configThread: ConfigThread;
  readonly watcher: Watcher;
  readonly gateway: GatewaySource | undefined;
  readonly admin: FastifyInstance;
  readonly planner: PlanThread;
  readonly dataPlane: DataPlane;
  readonly rollouts: RunningRollouts;
  readonly live: Live;
  readonly accessLines: LogDestination;
  readonly lifecycle: { draining: boolean };
  /** Logs certificates that expire soon, once a day. */
  readonly certificates: NodeJS.Timeout;
}

const nowMs = () => Date.now();

interface Foundation {
  readonly options: AppOptions;
  readonly objects: ConfigObjects;
  /** Where Gateways of the Kubernetes API are served. */
  readonly gateway: GatewaySource | undefined;
  readonly worker: WorkerSpec;
  readonly log: Logger;
  readonly watcher: Watcher;
  readonly first: LoadedConfig;
  /** Of its load. */
  readonly memory: LoaderMemory;
  /** The number of threads that serve; 1: the main thread. */
  readonly size: number;
  readonly rollouts: RunningRollouts;
  readonly slices: SliceSource;
}

const dayMs = 86_400_000;

/** Anyone may be refused by these, and as often as he likes: that must not drive out what happened. */
const refusedAtTheDoor: ReadonlySet<number> = new Set([401, 403, 405]);

function build(foundation: Foundation): Parts {
  const { options, objects, gateway, log, watcher, first, memory, rollouts, slices } = foundation;
  const stats = new StatsRegistry();
  const accessLines = new LogDestination({
    to: options.accessLogTo ?? 1,
    dropped: stats.accessLog.dropped,
    onTrouble: (error) => log.error({ error: error.message }, "cannot write the access log"),
  });
  let lastLoaded: LoaderOptions | undefined;
  const configThread = new ConfigThread({
    name: sourceName(options.source),
    options() {
      lastLoaded = loaderOptions(options, objects, gateway);
      return lastLoaded;
    },
    memory,
    active: () => dataPlane.active.current,
  });
  const onDecisions = (batch: DecisionBatch) => live.decided(batch);
  const dataPlane = createDataPlane({ ...foundation, secrets: configThread.secrets }, stats, accessLines, onDecisions);
  const activity = new ActivityLog(nowMs);
  const live = new Live({
    ...{ dataPlane, stats, activity, log, nowMs },
    instance: randomUUID(),
    rollouts: rollouts.controller,
    schedule: scheduleUnref,
  });
  activity.add(startEntry(first.hash));
  const lifecycle = { draining: false };
  const file = sourceName(options.source);
  const reloader = new Reloader(
    {
      file,
      async load() {
        const loaded = await objects.load(() => configThread.load());
        const unfound = loaded.ok ? await slices.load(loaded.compiled) : undefined;
        if (!loaded.ok || unfound === undefined) return loaded;
        return { ok: false, problems: [diagnoseFile(file, unfound)], files: loaded.compiled.files };
      },
      prepare: async (loaded) => {
        const preparation = await dataPlane.prepare(loaded);
        if (preparation.kind === "failed") return preparation;
        // Read at commit, so that what the rollouts have decided in the meantime is included.
        return { kind: "prepared", commit: () => preparation.commit(rollouts.controller.directions) };
      },
      prepareRollouts: ({ compiled }) => rollouts.controller.prepare(compiled.releases),
      stats: stats.reloads,
      log,
      nowMs,
      onStatus(now, before) {
        activity.add(reloadEntry(now, before));
        objects.keep(reloader.active.sources);
      },
      onFiles: (files, contentsRead) => watcher.alsoWatch(files, contentsRead),
    },
    first,
  );
  watcher.alsoWatch(first.compiled.files, first.sources.files);
  const tellGateway = () => {
    const { lastError } = reloader.status;
    const problem = lastError && errorsOf(lastError.problems)[0]?.message;
    gateway?.loaded(problem, lastLoaded?.keys, reloader.active.sources.text);
  };
  const reload = () => void reloader.reload().then(tellGateway);
  watcher.onChange(reload);
  gateway?.onChange(reload);
  rollouts.replicas?.onLeading(() => gateway?.leaderChanged());
  objects.keep(first.sources);
  const fromFile = options.source.kind !== "text";
  const planner = new PlanThread({
    active: () => {
      const { hash, sources } = reloader.active;
      return { ...sources, hash, file, env: { ...options.env }, hasStateDir: options.stateDir !== undefined };
    },
    release: (name) => dataPlane.active.current.releases.get(name)?.policy.spec,
    traffic: (release) => rollouts.controller.directions.traffic.get(release),
  });
  const view = adminView({
    ...{ stats, dataPlane, reloader, rollouts, live, planner, slices, lifecycle, nowMs, fromFile },
    random: batchedRandom(),
  });
  const admin = createAdminServer(view, {
    listenHost: first.compiled.admin.host,
    access: () => dataPlane.active.current.config.adminAccess,
    nowMs,
    monotonicMs: () => performance.now(),
    page: loadPage,
    isScarce: (newest) => !descriptorReserve.allowsAdmin(descriptorOf(newest)),
    onFailure: (error) => log.error({ err: error }, "admin request failed with an internal error"),
    audit: (entry) => {
      log.info({ ...entry }, "audit");
      if (!refusedAtTheDoor.has(entry.status)) activity.add(auditEntry(entry));
    },
  });
  const warn = () => warnOfExpiry(dataPlane.active.current.config.listeners, nowMs(), log);
  const certificates = setInterval(warn, dayMs).unref();
  return {
    ...{ log, slices, stats, reload, tellGateway, configThread, watcher, gateway, admin, planner, dataPlane },
    ...{ rollouts, live, accessLines, lifecycle, certificates },
  };
}

function createDataPlane(
  foundation: Foundation & Pick<WorkerDataPlaneParts, "secrets">,
  stats: StatsRegistry,
  accessLines: LogDestination,
  onDecisions: (batch: DecisionBatch) => void,
): DataPlane {
  const { options, worker, log, secrets, first, size, rollouts, slices } = foundation;
  const ticketKeys = randomBytes(ticketKeyBytes);
  const onRolloutReport = (report: RolloutReport) => rollouts.controller.report(report);
  const parts = { first, stats, accessLines, log, ticketKeys, slices, onRolloutReport, onDecisions };
  if (size === 1) return new InProcessDataPlane({ ...parts, planes: 1 });
  const { logLevel, env, source, warmUp } = options;
  return new WorkerDataPlane({ ...parts, size, logLevel, env, file: sourceName(source), secrets, warmUp, ...worker });
}

function toNowhere(): LogDestination {
  return new LogDestination({ to: devNull, dropped: { value: 0 }, onTrouble() {} });
}

/** Loaded only where the configuration asks for it. `leader`: only one of several replicas writes statuses. */
async function followedGateway(
  options: AppOptions,
  written: LoadResult,
  objects: ConfigObjects,
  leader: { readonly isLeading: () => boolean },
  log: Logger,
): Promise<GatewaySource | undefined> {
  if (!written.ok || written.compiled.gateway === undefined) return undefined;
  const { GatewaySource } = await import("./gateway/gateway-source.ts");
  const { gateway: spec } = written.compiled;
  const loader = loaderOptions(options, objects, undefined);
  return GatewaySource.open({ spec, loader, isLeader: () => leader.isLeading(), log });
}

function loaderOptions(
  { source, env, stateDir }: AppOptions,
  objects: ConfigObjects,
  gateway: GatewaySource | undefined,
): LoaderOptions {
  const apiFiles = gateway?.take();
  return { source, keys: objects.take(), env: { ...env }, hasStateDir: stateDir !== undefined, apiFiles };
}

/** A file that the configuration names wins. */
function stateFileOf({ stateDir }: AppOptions, { compiled }: LoadedConfig): string | undefined {
  return compiled.stateFile ?? (stateDir === undefined ? undefined : join(stateDir, "state.json"));
}

const accessLogCloseMs = 1_000;

async function release({
  watcher,
  slices,
  gateway,
  configThread,
  dataPlane,
  rollouts,
  live,
  accessLines,
  admin,
  planner,
  certificates,
  lifecycle,
}: Parts): Promise<void> {
  // The admin server answers until the end, and must not report ready without listeners.
  lifecycle.draining = true;
  await slices.close();
  await gateway?.close();
  await watcher.close();
  clearInterval(certificates);
  live.close();
  await configThread.close();
  await dataPlane.dispose();
  await rollouts.close();
  // The log's reader may have stopped reading, so do not wait for long.
  await accessLines.close(accessLogCloseMs);
  await planner.close();
  await admin.close();
}

/** Resolves after the time, or once the signal is aborted. */
function elapsed(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
}

/** Logs once at start what a missing Node interface costs, rather than letting it be found out under load. */
async function warnOfMissingInternals(log: Logger): Promise<void> {
  try {
    for (const consequence of await missingNodeInternals())
      log.warn({ consequence }, "this version of Node lacks an interface");
  } catch (error) {
    log.debug({ err: error }, "Node's interfaces could not be checked");
  }
}
