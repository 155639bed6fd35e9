import type { Worker } from "node:worker_threads";
import type { Logger } from "../observe/log.ts";
import { noCounts, pastCounts, type StatsCounts, sumCounts } from "../observe/stats-transfer.ts";
import type { HealthState } from "../upstream/endpoint-health.ts";
import type { Answer, ConfigInput, Input, StartAnswer, StartInput, WorkerCall, WorkerCounts } from "./messages.ts";
import { WorkerFailure, type WorkerListener, WorkerThread } from "./worker-thread.ts";

/** A worker that says nothing for this long is summed with what it said last. */
const countsWithinMs = 500;
/** Compiling the largest configuration takes seconds, on a busy machine more. */
const preparedWithinMs = 30_000;
const committedWithinMs = 10_000;
const freedWithinMs = 1_000;

export interface WorkerPoolOptions {
  readonly size: number;
  readonly spawn: (number: number) => Worker;
  readonly first: Pick<StartInput, "config" | "env" | "logLevel" | "ticketKeys" | "workers">;
  readonly listener: WorkerListener;
  readonly log: Logger;
  readonly monotonicMs: () => number;
}

/** All workers together, in all of them or in none. */
export type Preparation =
  | { readonly kind: "prepared"; commit(): Promise<void> }
  | { readonly kind: "failed"; readonly why: string };

interface Place {
  readonly number: number;
  readonly backOff: BackOff;
  thread: WorkerThread | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** The workers that serve: started together, kept at their number, and asked as one. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #places: readonly Place[];
  /** What workers counted that are no more: a counter must not go back. */
  #counted: StatsCounts = noCounts;
  #config: ConfigInput;
  #ports: readonly number[] | undefined;
  #state: "starting" | "serving" | "draining" | "stopped" = "starting";
  #restarts = 0;
  /** While a configuration is prepared nobody starts, or a worker could miss it. */
  #preparing: Promise<unknown> | undefined;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#config = options.first.config;
    this.#places = Array.from({ length: options.size }, (_, index) => ({
      number: index + 1,
      backOff: new BackOff(),
      thread: undefined,
      timer: undefined,
    }));
  }

  get serving(): number {
    return this.#threads().filter(({ state }) => state === "serving").length;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** The first binds alone, so that the others can take the port that it got. One that fails fails the start. */
  async start(): Promise<StartAnswer> {
    const [first, ...others] = this.#places;
    const answer = first === undefined ? failed("there is no worker") : await this.#startFirst(first);
    if (answer.kind === "failed") return answer;
    this.#ports = answer.listeners.map(({ address }) => (typeof address === "string" ? 0 : address.port));
    const answers = await Promise.all(others.map((place) => this.#startFirst(place)));
    const failure = answers.find(({ kind }) => kind === "failed");
    if (failure !== undefined) return failure;
    this.#state = "serving";
    // One may have ended since it began to serve.
    for (const place of this.#places) if (place.thread === undefined) this.#replaceLater(place, 0);
    return answer;
  }

  /** Prepares every worker, so that the commit which follows can fail in none. A failure leaves all as they were. */
  async prepare(config: ConfigInput): Promise<Preparation> {
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#preparing = over;
    const failures = await Promise.all(this.#threads().map((thread) => prepareOne(thread, config)));
    const why = failures.filter((failure) => failure !== undefined).join("; ");
    const finish = () => {
      this.#preparing = undefined;
      end();
    };
    if (why !== "") {
      finish();
      return { kind: "failed", why };
    }
    return {
      kind: "prepared",
      commit: async () => {
        this.#config = config;
        const committed = this.#all("commit", undefined, committedWithinMs);
        finish();
        await committed;
      },
    };
  }

  /** The sum of all workers, those that ended included, and the worst that any of them believes of each endpoint. */
  async counts(): Promise<WorkerCounts> {
    await Promise.all(this.#threads().map(refreshCounts));
    const latest = this.#threads().map(({ counts }) => counts);
    return {
      stats: sumCounts([this.#counted, ...latest.map(({ stats }) => stats)]),
      beliefs: worstOf(latest.map(({ beliefs }) => beliefs)),
    };
  }

  /** From now on every answer closes its connection. */
  drain(): void {
    this.#state = "draining";
    void this.#all("drain", undefined);
  }

  /** Stops accepting, and resolves once the last request of every worker has ended. */
  async close(): Promise<void> {
    this.#state = "draining";
    for (const { timer } of this.#places) clearTimeout(timer);
    await this.#all("close", undefined);
  }

  breakOff(): void {
    void this.#all("breakOff", undefined);
  }

  /** Ends every thread, after its last lines. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    for (const { timer } of this.#places) clearTimeout(timer);
    await Promise.all(
      this.#threads().map(async (thread) => {
        await thread.ask("free", undefined, freedWithinMs).catch(forgive);
        await thread.terminate();
      }),
    );
  }

  #threads(): readonly WorkerThread[] {
    return this.#places.flatMap(({ thread }) => thread ?? []);
  }

  /** What one worker can not do is no reason to keep the others from it: its end is dealt with elsewhere. */
  async #all<C extends WorkerCall>(call: C, input: Input<C>, timeoutMs?: number): Promise<void> {
    const one = (thread: WorkerThread): Promise<Answer<C> | undefined> =>
      thread.ask(call, input, timeoutMs).catch((failure: unknown) => {
        this.#options.log.warn({ worker: thread.number, call, why: forgive(failure) }, "a worker did not answer");
        return undefined;
      });
    await Promise.all(this.#threads().map(one));
  }

  async #startFirst(place: Place): Promise<StartAnswer> {
    try {
      return await this.#startOne(place);
    } catch (failure) {
      return failed(`perch: worker ${place.number} could not start: ${forgive(failure)}`);
    }
  }

  async #startOne(place: Place): Promise<StartAnswer> {
    const { spawn, first, listener, monotonicMs } = this.#options;
    while (this.#preparing !== undefined) await this.#preparing;
    if (this.#state === "stopped") throw new WorkerFailure("Perch has stopped");
    const thread = new WorkerThread(place.number, spawn(place.number), listener);
    place.thread = thread;
    void thread.ended.then((why) => this.#onEnd(place, thread, why));
    const answer = await thread.ask("start", {
      ...first,
      worker: place.number,
      config: this.#config,
      ports: this.#ports,
    });
    if (answer.kind === "serving") {
      thread.state = "serving";
      thread.servingSinceMs = monotonicMs();
    }
    return answer;
  }

  #onEnd(place: Place, thread: WorkerThread, why: string): void {
    const { servingSinceMs, counts, number } = thread;
    this.#counted = pastCounts(sumCounts([this.#counted, counts.stats]));
    place.thread = undefined;
    // One that ends while Perch starts ends the start, which says why.
    if (this.#state === "stopped" || (this.#state === "starting" && servingSinceMs === undefined)) return;
    const nowMs = this.#options.monotonicMs();
    const againInMs = this.#state === "serving" ? place.backOff.next(nowMs - (servingSinceMs ?? nowMs)) : undefined;
    this.#options.log.error({ worker: number, why, againInMs }, "a worker ended");
    if (againInMs !== undefined) this.#replaceLater(place, againInMs);
  }

  #replaceLater(place: Place, delayMs: number): void {
    place.timer = setTimeout(() => void this.#replace(place), delayMs);
  }

  async #replace(place: Place): Promise<void> {
    if (this.#state !== "serving") return;
    this.#restarts++;
    try {
      const answer = await this.#startOne(place);
      if (answer.kind === "serving") this.#options.log.info({ worker: place.number }, "a worker was replaced");
      else await this.#giveUp(place, answer.problems);
    } catch {
      // It ended while it started, which its end has told and answered.
    }
  }

  /** It runs and can not serve, for instance since its port was taken meanwhile: its end leads to the next try. */
  async #giveUp(place: Place, problems: readonly string[]): Promise<void> {
    this.#options.log.error({ worker: place.number, problems }, "a worker can not serve");
    await place.thread?.terminate();
  }
}

/** Why it could not; undefined where it could, or where it had not begun to serve and never will. */
async function prepareOne(thread: WorkerThread, config: ConfigInput): Promise<string | undefined> {
  const wasServing = thread.state === "serving";
  try {
    await thread.ask("prepare", config, preparedWithinMs);
    return undefined;
  } catch (failure) {
    return wasServing || thread.state !== "ended" ? `worker ${thread.number}: ${forgive(failure)}` : undefined;
  }
}

/** An outage that one worker has seen is an outage. */
function worstOf(all: readonly WorkerCounts["beliefs"][]): WorkerCounts["beliefs"] {
  const worst = new Map<string, HealthState>();
  for (const beliefs of all) {
    for (const [key, belief] of beliefs) {
      const known = worst.get(key);
      if (known === undefined || known.closedUntilMs < belief.closedUntilMs) worst.set(key, belief);
    }
  }
  return worst;
}

async function refreshCounts(thread: WorkerThread): Promise<void> {
  try {
    thread.counts = await thread.ask("counts", undefined, countsWithinMs);
  } catch (failure) {
    forgive(failure);
  }
}

const failed = (problem: string): StartAnswer => ({ kind: "failed", problems: [problem] });

/** A worker's failure in words. Anything else is a defect of ours. */
function forgive(failure: unknown): string {
  if (failure instanceof WorkerFailure) return failure.message;
  throw failure;
}

const shortestMs = 100;
const maxMs = 30_000;
/** Whoever served this long did not end by what the start found. */
const soundMs = 60_000;

/** How long to wait before a worker is replaced: twice as long each time, unless the one before served for a while. */
export class BackOff {
  #failures = 0;

  /** `servedMs`: how long the worker that ended had served. */
  next(servedMs: number): number {
    if (servedMs >= soundMs) this.#failures = 0;
    return Math.min(maxMs, shortestMs * 2 ** this.#failures++);
  }
}
