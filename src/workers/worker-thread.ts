import type { Worker } from "node:worker_threads";
import type { LineDestination } from "../observe/access-log.ts";
import type { DecisionBatch } from "../observe/live/decision-tail.ts";
import type { TrafficCounts } from "../observe/live/traffic-counts.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import { noCounts } from "../observe/stats-transfer.ts";
import type { Answer, Input, WorkerCall, WorkerCounts, WorkerReply, WorkerRequest } from "./messages.ts";

export interface WorkerListener {
  /** Whole lines for the access log. */
  access(lines: string, count: number): void;
  /** A whole line for Perch's own log. */
  log(line: string): void;
  /** What a worker saw of a rollout. */
  rollout(report: RolloutReport): void;
  /** A sample of what a worker decided. */
  decisions(batch: DecisionBatch): void;
}

/** A call to a worker failed; the message is the reason, as text for users. */
export class WorkerFailure extends Error {
  override readonly name = "WorkerFailure";
}

interface PendingCall {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (failure: WorkerFailure) => void;
}

/** One worker, as seen by the main thread: its calls, its latest counts, and its exit. */
export class WorkerThread {
  /** From 1; a replacement keeps the number. */
  readonly number: number;
  /** Resolves with the reason once the thread has exited. */
  readonly ended: Promise<string>;
  /** The last counts that it sent. */
  counts: WorkerCounts = { stats: noCounts, health: new Map(), singleUse: new Map() };
  /** Likewise. */
  traffic: TrafficCounts = new Map();
  state: "starting" | "serving" | "ended" = "starting";
  /** By the pool's clock; undefined until it serves. */
  servingSinceMs: number | undefined;
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  #lastId = 0;
  #why: string | undefined;

  constructor(number: number, worker: Worker, listener: WorkerListener) {
    this.number = number;
    this.#worker = worker;
    worker.on("message", (reply: WorkerReply) => this.#receive(reply, listener));
    worker.on("error", (error) => {
      this.#why ??= reasonOf(error);
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    worker.on("exit", (code) => {
      this.state = "ended";
      const why = this.#why ?? `exited with code ${code}`;
      for (const { reject } of this.#pending.values()) reject(new WorkerFailure(why));
      this.#pending.clear();
      resolve(why);
    });
  }

  /** Rejects with a `WorkerFailure` if the worker fails, exits, or does not answer in time. */
  async ask<C extends WorkerCall>(call: C, input: Input<C>, timeoutMs?: number): Promise<Answer<C>> {
    if (this.state === "ended") throw new WorkerFailure("the worker has exited");
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = ++this.#lastId;
    this.#pending.set(id, { resolve, reject });
    this.#worker.postMessage({ id, call, input } satisfies WorkerRequest);
    const onTimeout = () => reject(new WorkerFailure(`no response within ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
    try {
      return (await promise) as Answer<C>;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  /** Ends the thread at once. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(reply: WorkerReply, listener: WorkerListener): void {
    if (reply.kind === "answer") this.#pending.get(reply.id)?.resolve(reply.answer);
    else if (reply.kind === "failure") this.#pending.get(reply.id)?.reject(new WorkerFailure(reply.why));
    else if (reply.kind === "access") listener.access(reply.lines, reply.count);
    else if (reply.kind === "log") listener.log(reply.line);
    else if (reply.kind === "rollout") listener.rollout(reply.report);
    else if (reply.kind === "decisions") listener.decisions(reply.batch);
    else {
      this.#why = reply.why;
      this.counts = reply.counts ?? this.counts;
    }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out of memory" : String(error.stack);
}

/** Larger batches are posted at once; smaller ones wait for more lines or for the timer. */
const batchChars = 8 * 1024;
const maxDelayMs = 1_000;

/**
 * Sends a worker's access log to the main thread in batches. Only the main thread writes: lines from several writers
 * could interleave, since a pipe writes at most 4096 bytes atomically, less than a long line.
 */
export class PostedLines implements LineDestination {
  readonly #post: (lines: string, count: number) => void;
  #pending = "";
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (lines: string, count: number) => void) {
    this.#post = post;
  }

  write(line: string): void {
    this.#pending += line;
    this.#count++;
    if (this.#pending.length >= batchChars) this.#postBatch();
    else this.#timer ??= setTimeout(() => this.#postBatch(), maxDelayMs);
  }

  /** Resolves once every line so far is posted, not when it is written. */
  async flush(): Promise<void> {
    this.#postBatch();
  }

  async close(): Promise<void> {
    this.#postBatch();
  }

  #postBatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#count > 0) this.#post(this.#pending, this.#count);
    this.#pending = "";
    this.#count = 0;
  }
}
