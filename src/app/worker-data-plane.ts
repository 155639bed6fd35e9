import { extname } from "node:path";
import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import type { RunnableConfig } from "../config/load.ts";
import type { TrafficByRelease } from "../decide/release-traffic.ts";
import { PublishedKeyRegistry } from "../identify/published-keys.ts";
import { bindHost } from "../listener/bind-host.ts";
import type { DecisionBatch } from "../observe/live/decision-tail.ts";
import type { TrafficCounts } from "../observe/live/traffic-counts.ts";
import { destinationOf, type Logger, type LogLevel } from "../observe/log.ts";
import type { LogDestination } from "../observe/log-destination.ts";
import { JwksStats } from "../observe/process-stats.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { ActiveSnapshot } from "../proxy/active-snapshot.ts";
import { unknown } from "../upstream/endpoint-health.ts";
import { EndpointRegistry, noopEndpointEvents } from "../upstream/endpoint-registry.ts";
import { EndpointResolvers } from "../upstream/endpoint-resolver.ts";
import { sliceQuestionsOf } from "../upstream/service-spec.ts";
import type { WarmUpSpec } from "../workers/messages.ts";
import { type BoundListener, type ConfigInput, endpointKey } from "../workers/messages.ts";
import { probeExclusiveBind } from "../workers/worker-count.ts";
import { WorkerPool } from "../workers/worker-pool.ts";
import type { ReloadedConfig } from "./config-thread.ts";
import { type Acceptance, bound, type DataPlane, judgedSafely, type Preparation, StartError } from "./data-plane.ts";
import { createDnsResolver, firstAnswersMs, noopDnsEvents } from "./dns.ts";
import { JwksFetcher } from "./jwks-fetcher.ts";
import type { SliceSource } from "./kubernetes/slice-source.ts";
import { inSlices } from "./slices.ts";

export interface WorkerDataPlaneParts {
  readonly size: number;
  readonly first: RunnableConfig;
  readonly stats: StatsRegistry;
  readonly accessLines: LogDestination;
  readonly log: Logger;
  readonly logLevel: LogLevel;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The configuration's name in messages. */
  readonly file: string;
  /** The random secrets so far of releases without a `secretFile`. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly ticketKeys: Uint8Array;
  /** Where endpoints in Kubernetes are, which the workers are told. */
  readonly slices: SliceSource;
  /** What each worker exercises before it listens. Default: nothing. */
  readonly warmUp?: WarmUpSpec | undefined;
  /** Takes what each worker saw of rollouts. May call `direct`. */
  readonly onRolloutReport: (report: RolloutReport) => void;
  /** Takes decisions that workers sampled, while they are watched. */
  readonly onDecisions: (batch: DecisionBatch) => void;
  /** The entry file of a worker; default: `worker-main`. */
  readonly entry?: URL;
  /** The heap limit of each worker in MiB; default: an equal share of V8's limit for this process. */
  readonly heapMb?: number;
}

// tsc does not rewrite this name, so the extension comes from this file, built or not.
const defaultEntry = new URL(`./worker-main${extname(import.meta.url)}`, import.meta.url);

/** Fetches the workers' counts even without a scrape: a worker that runs out of memory cannot send its last ones. */
const refreshIntervalMs = 5_000;

/** A data plane in each of several threads. The main thread serves no requests; it aggregates. */
export class WorkerDataPlane implements DataPlane {
  readonly active: ActiveSnapshot;
  /** Resolves names only for the admin API; the workers' resolutions are counted. */
  readonly #names = createDnsResolver(noopDnsEvents);
  readonly endpoints: EndpointRegistry;
  readonly #parts: WorkerDataPlaneParts;
  readonly #pool: WorkerPool;
  readonly #keys: JwksFetcher;
  #timer: NodeJS.Timeout | undefined;
  #traffic: TrafficByRelease = new Map();

  constructor(parts: WorkerDataPlaneParts) {
    const { size, first, stats, accessLines, log, logLevel, env, ticketKeys, warmUp, onRolloutReport, onDecisions } =
      parts;
    this.#parts = parts;
    this.endpoints = new EndpointRegistry(noopEndpointEvents, new EndpointResolvers(this.#names, parts.slices));
    // For explanations. Workers fetch, log and count for themselves.
    this.#keys = new JwksFetcher({ stats: new JwksStats(), log: undefined, monotonicMs: () => performance.now() });
    const keys = new PublishedKeyRegistry(this.#keys);
    this.active = new ActiveSnapshot(stats, this.endpoints, first.compiled, first.hash, keys);
    const ownLog = destinationOf(2);
    this.#pool = new WorkerPool({
      size,
      spawn: (number) => spawnWorker(number, parts),
      first: { config: this.#inputOf(first), env: { ...env }, logLevel, ticketKeys, warmUp, workers: size },
      listener: {
        access: (lines, count) => accessLines.write(lines, count),
        log: (line) => ownLog.write(line),
        rollout: judgedSafely(onRolloutReport, log),
        decisions: onDecisions,
      },
      slices: () => parts.slices.all(),
      log,
      monotonicMs: () => performance.now(),
    });
    parts.slices.onRecords((records) => this.#pool.tellSlices(records));
  }

  get workers(): DataPlane["workers"] {
    return { serving: this.#pool.serving, restarts: this.#pool.restarts };
  }

  get acceptance(): Acceptance {
    const { serving, isStarting, servesUnixSockets } = this.#pool;
    // A stop signal ends a starting process at once, so no requests may be sent before the start is complete.
    if (isStarting) return "starting";
    if (serving === 0) return "no-worker";
    const hasUnixSocket = this.#parts.first.compiled.listeners.some(({ address }) => "path" in address);
    return hasUnixSocket && !servesUnixSockets ? "no-socket-worker" : "ready";
  }

  async listen(): Promise<readonly BoundListener[]> {
    for (const { name, address } of this.#parts.first.compiled.listeners) {
      // A unix socket is not shared: the one worker that has it gets the error itself.
      if (!("port" in address)) continue;
      const tried = { host: bindHost(address), port: address.port };
      await bound(`listener "${name}"`, address, () => probeExclusiveBind(tried));
    }
    await this.#findPods(this.#parts.first);
    const started = await this.#pool.start();
    if (started.kind === "failed") throw new StartError(started.problems);
    this.#timer = setInterval(() => void this.refresh(), refreshIntervalMs).unref();
    return started.listeners;
  }

  async prepare(loaded: ReloadedConfig): Promise<Preparation> {
    const { compiled, hash, portable, sources } = loaded;
    // The workers are told before they prepare what needs it.
    await this.#findPods(loaded);
    const [swap, preparation] = await Promise.all([
      inSlices(this.active.building(compiled, hash)),
      this.#pool.prepare(this.#inputOf(loaded), { portable, hash, database: sources.database }),
    ]);
    if (preparation.kind === "failed") return preparation;
    return {
      kind: "prepared",
      commit: async (directions) => {
        this.#traffic = directions.traffic;
        await preparation.commit(directions);
        // Newer traffic may have arrived in the meantime.
        swap(this.#traffic);
      },
    };
  }

  async direct(directions: Directions): Promise<void> {
    this.#traffic = directions.traffic;
    this.active.direct(directions.traffic);
    await this.#pool.direct(directions);
  }

  async refresh(): Promise<void> {
    const { stats, health, singleUse } = await this.#pool.counts();
    this.#parts.stats.restore(stats);
    for (const endpoint of this.endpoints.all()) {
      const key = endpointKey(endpoint);
      endpoint.health.believe(health.get(key) ?? unknown);
      endpoint.singleUse.untilMs = singleUse.get(key) ?? 0;
    }
  }

  traffic(): Promise<TrafficCounts> {
    return this.#pool.traffic();
  }

  watchDecisions(areWatched: boolean): void {
    this.#pool.watchDecisions(areWatched);
  }

  drain(): void {
    this.#pool.drain();
  }

  async close(): Promise<void> {
    await this.#pool.close();
    await this.refresh();
  }

  abort(): void {
    this.#pool.abort();
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    await this.#keys.close();
    this.#names.stop();
    await this.#pool.stop();
  }

  #findPods({ compiled }: Pick<RunnableConfig, "compiled">): Promise<void> {
    return this.#parts.slices.prepare(sliceQuestionsOf(compiled.services), firstAnswersMs);
  }

  #inputOf({ sources, hash }: RunnableConfig): ConfigInput {
    const { file, secrets } = this.#parts;
    return { ...sources, file, hash, secrets: new Map(secrets) };
  }
}

/**
 * V8's young generation per worker: three semi-spaces of 4 MiB, the same limit that `perch serve` sets for the main
 * thread.
 */
const youngGenerationMb = 12;

function spawnWorker(
  number: number,
  { size, entry = defaultEntry, heapMb = shareOfHeapMb(size) }: WorkerDataPlaneParts,
): Worker {
  const resourceLimits = { maxYoungGenerationSizeMb: youngGenerationMb, maxOldGenerationSizeMb: heapMb };
  return new Worker(entry, { name: `worker ${number}`, resourceLimits });
}

const minHeapMb = 256;

/**
 * All workers share V8's limit for this process; otherwise a container would be killed before a worker hits its limit.
 */
function shareOfHeapMb(size: number): number {
  return Math.max(minHeapMb, Math.floor(getHeapStatistics().heap_size_limit / 1_048_576 / size));
}
