import { randomBytes, randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { devNull } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import type { LiveView } from "../admin/live/live-view.ts";
import { createAdminServer } from "../admin/server.ts";
import type { CompiledConfig } from "../config/compiled-config.ts";
import type { LoadedConfig } from "../config/load.ts";
import { formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
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
import { type ConfigSource, type LoaderMemory, sourceName } from "./config-source.ts";
import { ConfigSources } from "./config-sources.ts";
import { ConfigThread } from "./config-thread.ts";
import { type DataPlane, formatAddress, StartError } from "./data-plane.ts";
import { InProcessDataPlane } from "./in-process-data-plane.ts";
import { Live } from "./live.ts";
import { auditEntry, reloadEntry, startEntry } from "./live-entries.ts";
import { warnOfMissingInternals } from "./missing-internals.ts";
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
    let replicas: RunningRollouts["replicas"];
    const isLeader = ({ sharedState }: CompiledConfig) =>
      sharedState === undefined || replicas?.rollouts.isLeading === true;
    const { sources, first, memory } = await ConfigSources.open({ ...options, log, nowMs, isLeader });
    const size = await workerCount(first.compiled, log);
    const { env, stateDir } = options;
    const { sharedState } = first.compiled;
    const stateFile = stateFileOf(options, first);
    const rollouts = await RunningRollouts.open({ stateFile, stateDir, sharedState, env, log, nowMs }).catch(
      async (error) => {
        await sources.close();
        throw error;
      },
    );
    replicas = rollouts.replicas;
    const parts = build({ options, sources, worker, log, memory, first, size, rollouts });
    try {
      await rollouts.begin(first, parts.dataPlane);
      const adminAddress = await bindAdmin(parts.admin, first.compiled.admin);
      replicas?.join(adminAddress);
      if (size === 1 && options.warmUp !== undefined) await warmUp(options.warmUp, first.compiled, toNowhere(), log);
      const listeners = await parts.dataPlane.listen();
      parts.tellSources();
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
  readonly sources: ConfigSources;
  readonly stats: StatsRegistry;
  readonly reload: () => void;
  /** Tells the sources what became of what they gave. */
  readonly tellSources: () => void;
  readonly configThread: ConfigThread;
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
  readonly sources: ConfigSources;
  readonly worker: WorkerSpec;
  readonly log: Logger;
  readonly first: LoadedConfig;
  /** Of its load. */
  readonly memory: LoaderMemory;
  /** The number of threads that serve; 1: the main thread. */
  readonly size: number;
  readonly rollouts: RunningRollouts;
}

const dayMs = 86_400_000;

/** Anyone may be refused by these, and as often as he likes: that must not drive out what happened. */
const refusedAtTheDoor: ReadonlySet<number> = new Set([401, 403, 405]);

function build(foundation: Foundation): Parts {
  const { options, sources, log, first, memory, rollouts } = foundation;
  const stats = new StatsRegistry();
  const accessLines = new LogDestination({
    to: options.accessLogTo ?? 1,
    dropped: stats.accessLog.dropped,
    onTrouble: (error) => log.error({ error: error.message }, "cannot write the access log"),
  });
  const configThread = new ConfigThread({
    name: sourceName(options.source),
    options: () => sources.take(),
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
      load: () => sources.load(() => configThread.load()),
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
        sources.keep(reloader.active.sources);
      },
      onFiles: (files, contentsRead) => sources.watcher.alsoWatch(files, contentsRead),
    },
    first,
  );
  sources.watcher.alsoWatch(first.compiled.files, first.sources.files);
  const tellSources = () => sources.tell(reloader.status, reloader.active);
  const reload = () => void reloader.reload().then(tellSources);
  sources.onChange(reload);
  rollouts.replicas?.onLeading(() => sources.leaderChanged());
  sources.keep(first.sources);
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
    ...{ stats, dataPlane, reloader, rollouts, live, planner, lifecycle, nowMs, fromFile },
    slices: sources.slices,
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
    ...{ log, sources, stats, reload, tellSources, configThread, admin, planner, dataPlane },
    ...{ rollouts, live, accessLines, lifecycle, certificates },
  };
}

function createDataPlane(
  foundation: Foundation & Pick<WorkerDataPlaneParts, "secrets">,
  stats: StatsRegistry,
  accessLines: LogDestination,
  onDecisions: (batch: DecisionBatch) => void,
): DataPlane {
  const { options, worker, log, secrets, first, size, rollouts, sources } = foundation;
  const { slices } = sources;
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

/** A file that the configuration names wins. */
function stateFileOf({ stateDir }: AppOptions, { compiled }: LoadedConfig): string | undefined {
  return compiled.stateFile ?? (stateDir === undefined ? undefined : join(stateDir, "state.json"));
}

const accessLogCloseMs = 1_000;

async function release({
  sources,
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
  await sources.close();
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
