import type { Worker } from "node:worker_threads";
import { sumTraffic, type TrafficCounts } from "../observe/live/traffic-counts.ts";
import type { Logger } from "../observe/log.ts";
import { type Directions, noDirections } from "../observe/rollout/rollout-taps.ts";
import { noCounts, pastCounts, type StatsCounts, sumCounts } from "../observe/stats-transfer.ts";
import type { HealthState } from "../upstream/endpoint-health.ts";
import type { SliceRecords } from "../upstream/received-slices.ts";
import type {
  Answer,
  ConfigInput,
  Input,
  PrepareInput,
  StartAnswer,
  StartInput,
  WorkerCall,
  WorkerCounts,
} from "./messages.ts";
import { WorkerFailure, type WorkerListener, WorkerThread } from "./worker-thread.ts";

/** A worker that does not respond in time is included with its last counts. */
const countsTimeoutMs = 500;
/** The same, where the main thread reports the last second. */
const trafficTimeoutMs = 300;
/** A very large configuration takes a second in slices, and longer on a busy machine. */
const prepareTimeoutMs = 30_000;
const commitTimeoutMs = 10_000;
const disposeTimeoutMs = 1_000;

export interface WorkerPoolOptions {
  readonly size: number;
  readonly spawn: (number: number) => Worker;
  readonly first: Pick<StartInput, "config" | "env" | "logLevel" | "ticketKeys" | "warmUp" | "workers">;
  readonly listener: WorkerListener;
  /** Where endpoints in Kubernetes are now, for workers that start. Default: nowhere. */
  readonly slices?: () => SliceRecords;
  readonly log: Logger;
  readonly monotonicMs: () => number;
}

/** Prepared in all workers, or in none. */
export type Preparation =
  | { readonly kind: "prepared"; commit(directions: Directions): Promise<void> }
  | { readonly kind: "failed"; readonly why: string };

interface Slot {
  readonly number: number;
  readonly backOff: BackOff;
  thread: WorkerThread | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** Starts the workers, replaces those that exit, and calls them together. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #slots: readonly Slot[];
  /** The counts of workers that have exited: counters must not decrease. */
  #pastCounts: StatsCounts = noCounts;
  #pastTraffic: TrafficCounts = new Map();
  #config: ConfigInput;
  /** Of workers that start later. */
  #directions: Directions = noDirections;
  /** Likewise. */
  #areDecisionsWatched = false;
  #ports: readonly number[] | undefined;
  #state: "starting" | "serving" | "draining" | "stopped" = "starting";
  #restarts = 0;
  /** Pending while a configuration is prepared: a worker that starts in the meantime would miss it. */
  #preparing: Promise<unknown> | undefined;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#config = options.first.config;
    this.#slots = Array.from({ length: options.size }, (_, index) => ({
      number: index + 1,
      backOff: new BackOff(),
      thread: undefined,
      timer: undefined,
    }));
  }

  get serving(): number {
    return this.#threads().filter(({ state }) => state === "serving").length;
  }

  /** Until every worker has served once. */
  get isStarting(): boolean {
    return this.#state === "starting";
  }

  /** Whether the first worker serves, which alone has the unix sockets. */
  get servesUnixSockets(): boolean {
    return this.#slots[0]?.thread?.state === "serving";
  }

  get restarts(): number {
    return this.#restarts;
  }

  /**
   * Starts the workers at once, since each waits for DNS answers. The first listens before the others, so that they can
   * use its ports. Any failure fails the start.
   */
  async start(): Promise<StartAnswer> {
    const [first, ...others] = this.#slots;
    const { promise: firstListens, resolve } = Promise.withResolvers<void>();
    const following = others.map((slot) => this.#startFirst(slot, firstListens));
    const answer = first === undefined ? failed("there is no worker") : await this.#startFirst(first);
    if (answer.kind === "failed") return answer;
    this.#ports = answer.listeners.map(({ address }) => (typeof address === "string" ? 0 : address.port));
    resolve();
    const failure = (await Promise.all(following)).find(({ kind }) => kind === "failed");
    if (failure !== undefined) return failure;
    this.#state = "serving";
    // A worker may have exited since it started to serve.
    for (const slot of this.#slots) if (slot.thread === undefined) this.#restartLater(slot, 0);
    return answer;
  }

  /**
   * Prepares every worker, so that the following commit cannot fail in any. After a failure nothing has changed. `config`
   * is the same configuration, for workers that start later.
   */
  async prepare(config: ConfigInput, input: PrepareInput): Promise<Preparation> {
    const { promise: finished, resolve } = Promise.withResolvers<void>();
    this.#preparing = finished;
    const failures = await Promise.all(this.#threads().map((thread) => prepareOne(thread, input)));
    const why = failures.filter((failure) => failure !== undefined).join("; ");
    const finish = () => {
      this.#preparing = undefined;
      resolve();
    };
    if (why !== "") {
      finish();
      return { kind: "failed", why };
    }
    return {
      kind: "prepared",
      commit: async (directions) => {
        this.#config = config;
        this.#directions = directions;
        const committed = this.#all("commit", directions, commitTimeoutMs);
        finish();
        await committed;
      },
    };
  }

  /** Posted to each worker before this returns. Resolves once it holds in all that answer in time. */
  async direct(directions: Directions): Promise<void> {
    this.#directions = directions;
    await this.#all("direct", directions, commitTimeoutMs);
  }

  /** Tells each worker where endpoints in Kubernetes are that have moved. */
  tellSlices(moved: SliceRecords): void {
    void this.#all("slices", moved);
  }

  /** The sum of all workers, including those that have exited, and for each endpoint the worst health of any worker. */
  async counts(): Promise<WorkerCounts> {
    await Promise.all(this.#threads().map(refreshCounts));
    const latest = this.#threads().map(({ counts }) => counts);
    return {
      stats: sumCounts([this.#pastCounts, ...latest.map(({ stats }) => stats)]),
      health: worstOf(latest.map(({ health }) => health)),
      singleUse: latestOf(latest.map(({ singleUse }) => singleUse)),
    };
  }

  /** The sum of all workers, including those that have exited; of one that is slow, as it was before. */
  async traffic(): Promise<TrafficCounts> {
    await Promise.all(this.#threads().map(refreshTraffic));
    return sumTraffic([this.#pastTraffic, ...this.#threads().map(({ traffic }) => traffic)]);
  }

  watchDecisions(areWatched: boolean): void {
    this.#areDecisionsWatched = areWatched;
    void this.#all("watchDecisions", areWatched);
  }

  /** From now on every response closes its connection. */
  drain(): void {
    this.#state = "draining";
    void this.#all("drain", undefined);
  }

  /** Stops accepting, and resolves once the last request of every worker has ended. */
  async close(): Promise<void> {
    this.#state = "draining";
    for (const { timer } of this.#slots) clearTimeout(timer);
    await this.#all("close", undefined);
  }

  abort(): void {
    void this.#all("abort", undefined);
  }

  /** Ends every thread after it has sent its last access log lines. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    for (const { timer } of this.#slots) clearTimeout(timer);
    await Promise.all(
      this.#threads().map(async (thread) => {
        await thread.ask("dispose", undefined, disposeTimeoutMs).catch(reasonOf);
        await thread.terminate();
      }),
    );
  }

  #threads(): readonly WorkerThread[] {
    return this.#slots.flatMap(({ thread }) => thread ?? []);
  }

  /** Calls all workers. One that fails does not affect the others; its exit is handled in `#onEnd`. */
  async #all<C extends WorkerCall>(call: C, input: Input<C>, timeoutMs?: number): Promise<void> {
    const one = (thread: WorkerThread): Promise<Answer<C> | undefined> =>
      thread.ask(call, input, timeoutMs).catch((failure: unknown) => {
        const why = reasonOf(failure);
        // A stop ends the workers in the middle of a drain.
        if (this.#state !== "stopped") {
          this.#options.log.warn({ worker: thread.number, call, why }, "worker did not respond");
        }
        return undefined;
      });
    await Promise.all(this.#threads().map(one));
  }

  async #startFirst(slot: Slot, turn?: Promise<void>): Promise<StartAnswer> {
    try {
      return await this.#startOne(slot, turn);
    } catch (failure) {
      return failed(`perch: worker ${slot.number} failed to start: ${reasonOf(failure)}`);
    }
  }

  /** Listens once `turn` has resolved. */
  async #startOne(slot: Slot, turn?: Promise<void>): Promise<StartAnswer> {
    const { spawn, first, listener, monotonicMs } = this.#options;
    while (this.#preparing !== undefined) await this.#preparing;
    if (this.#state === "stopped") throw new WorkerFailure("Perch has stopped");
    const thread = new WorkerThread(slot.number, spawn(slot.number), listener);
    slot.thread = thread;
    void thread.ended.then((why) => this.#onEnd(slot, thread, why));
    await thread.ask("start", {
      ...first,
      worker: slot.number,
      config: this.#config,
      directions: this.#directions,
      slices: this.#options.slices?.() ?? new Map(),
      areDecisionsWatched: this.#areDecisionsWatched,
    });
    await turn;
    const unixSockets = slot.number === 1 ? "here" : "elsewhere";
    const answer = await thread.ask("listen", { ports: this.#ports, unixSockets });
    if (answer.kind === "serving") {
      thread.state = "serving";
      thread.servingSinceMs = monotonicMs();
    }
    return answer;
  }

  #onEnd(slot: Slot, thread: WorkerThread, why: string): void {
    const { servingSinceMs, counts, traffic, number } = thread;
    this.#pastCounts = pastCounts(sumCounts([this.#pastCounts, counts.stats]));
    this.#pastTraffic = sumTraffic([this.#pastTraffic, traffic]);
    slot.thread = undefined;
    // An exit while Perch starts fails the start, which reports the reason.
    if (this.#state === "stopped" || (this.#state === "starting" && servingSinceMs === undefined)) return;
    const nowMs = this.#options.monotonicMs();
    const againInMs = this.#state === "serving" ? slot.backOff.next(nowMs - (servingSinceMs ?? nowMs)) : undefined;
    this.#options.log.error({ worker: number, why, againInMs }, "worker exited");
    if (againInMs !== undefined) this.#restartLater(slot, againInMs);
  }

  #restartLater(slot: Slot, delayMs: number): void {
    slot.timer = setTimeout(() => void this.#restart(slot), delayMs);
  }

  async #restart(slot: Slot): Promise<void> {
    if (this.#state !== "serving") return;
    this.#restarts++;
    try {
      const answer = await this.#startOne(slot);
      if (answer.kind === "serving") this.#options.log.info({ worker: slot.number }, "worker restarted");
      else await this.#giveUp(slot, answer.problems);
    } catch {
      // It exited during its start, which `#onEnd` has handled.
    }
  }

  /** The worker runs but cannot serve, for example because its port is in use. Its exit leads to the next attempt. */
  async #giveUp(slot: Slot, problems: readonly string[]): Promise<void> {
    this.#options.log.error({ worker: slot.number, problems }, "worker failed to start");
    await slot.thread?.terminate();
  }
}

/** The reason of a failure; undefined on success, or if the worker exited before it served. */
async function prepareOne(thread: WorkerThread, input: PrepareInput): Promise<string | undefined> {
  const wasServing = thread.state === "serving";
  try {
    await thread.ask("prepare", input, prepareTimeoutMs);
    return undefined;
  } catch (failure) {
    return wasServing || thread.state !== "ended" ? `worker ${thread.number}: ${reasonOf(failure)}` : undefined;
  }
}

function worstOf(all: readonly WorkerCounts["health"][]): WorkerCounts["health"] {
  const worst = new Map<string, HealthState>();
  for (const health of all) {
    for (const [key, state] of health) {
      const known = worst.get(key);
      if (known === undefined || known.closedUntilMs < state.closedUntilMs) worst.set(key, state);
    }
  }
  return worst;
}

function latestOf(all: readonly WorkerCounts["singleUse"][]): WorkerCounts["singleUse"] {
  const latest = new Map<string, number>();
  for (const singleUse of all) {
    for (const [key, untilMs] of singleUse) latest.set(key, Math.max(untilMs, latest.get(key) ?? 0));
  }
  return latest;
}

async function refreshCounts(thread: WorkerThread): Promise<void> {
  try {
    thread.counts = await thread.ask("counts", undefined, countsTimeoutMs);
  } catch (failure) {
    // The last counts stay in use. Anything but a worker's failure is rethrown.
    reasonOf(failure);
  }
}

async function refreshTraffic(thread: WorkerThread): Promise<void> {
  try {
    thread.traffic = await thread.ask("traffic", undefined, trafficTimeoutMs);
  } catch (failure) {
    reasonOf(failure);
  }
}

const failed = (problem: string): StartAnswer => ({ kind: "failed", problems: [problem] });

/** The reason of a worker's failure. Rethrows anything else, which is a bug. */
function reasonOf(failure: unknown): string {
  if (failure instanceof WorkerFailure) return failure.message;
  throw failure;
}

const minBackOffMs = 100;
const maxBackOffMs = 30_000;
/** A worker that served this long did not exit because of a start problem. */
const resetAfterMs = 60_000;

/** Exponential back-off before a worker is restarted, reset if the exited worker had served for a while. */
export class BackOff {
  #failures = 0;

  /** `servedMs` is how long the exited worker had served. */
  next(servedMs: number): number {
    if (servedMs >= resetAfterMs) this.#failures = 0;
    return Math.min(maxBackOffMs, minBackOffMs * 2 ** this.#failures++);
  }
}
